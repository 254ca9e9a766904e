/** What the library makes of a kubeconfig, and until when that holds. */
import { afterAll, expect, test } from "bun:test";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { readKubeconfig } from "../../src/sources/kube/client.ts";
import { createAuthority } from "../helpers/certificates.ts";
import { runCommand } from "../helpers/command.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";

const directory = await createTemporaryDirectory();
afterAll(() => directory[Symbol.asyncDispose]());
const client = await (await createAuthority(directory)).sign("client", "/O=system:nodes/CN=system:node:a");

/** A token as the API server signs them, but for the signature, which only the server looks at. */
function tokenUntil(seconds: number): string {
  const claims = { sub: "system:serviceaccount:a:b", exp: seconds };
  return `${encodePart({ alg: "RS256" })}.${encodePart(claims)}.c2lnbmF0dXJl`;
}

function encodePart(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** What a request needs by the kubeconfig of this user. */
async function read(user: object): Promise<Decoder> {
  const path = await directory.write(
    "kubeconfig",
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "c", cluster: { server: "https://10.0.0.1:6443", "tls-server-name": "kubernetes" } }],
      users: [{ name: "u", user }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    }),
  );
  return new Decoder(parseJson(await readKubeconfig(path)));
}

test("readKubeconfig() says when a client certificate ends", async () => {
  const access = await read({ "client-certificate": client.certPath, "client-key": client.keyPath });
  const { stdout } = await runCommand(["openssl", "x509", "-noout", "-enddate", "-in", client.certPath]);
  expect(access.field("expires").integer()).toBe(Date.parse(stdout.replace("notAfter=", "").trim()));
  expect(access.field("cert").string()).toBe(client.cert);
  expect(access.field("serverName").string()).toBe("kubernetes");
});

test("readKubeconfig() says when a token ends that says so itself, and no time for another", async () => {
  const access = await read({ token: tokenUntil(1_900_000_000) });
  expect(access.field("expires").integer()).toBe(1_900_000_000_000);
  expect(access.field("authorization").string()).toStartWith("Bearer ey");
  expect((await read({ token: "opaque" })).field("expires").integer()).toBeUndefined();
  expect((await read({ token: "a.b.c" })).field("expires").integer()).toBeUndefined();
});

test("readKubeconfig() takes the sooner end of a certificate and a token", async () => {
  const certificate = { "client-certificate": client.certPath, "client-key": client.keyPath };
  const access = await read({ ...certificate, token: tokenUntil(1000) });
  expect(access.field("expires").integer()).toBe(1_000_000);
});

test("readKubeconfig() takes the token of a plugin, and says when that ends", async () => {
  const status = { token: tokenUntil(2000) };
  const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status };
  const command = await directory.write("plugin", `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`, 0o755);
  const exec = { apiVersion: credential.apiVersion, command, interactiveMode: "Never" };
  const access = await read({ exec });
  expect(access.field("authorization").string()).toBe(`Bearer ${status.token}`);
  expect(access.field("expires").integer()).toBe(2_000_000);
});
