/** What the library makes of a kubeconfig, and until when that holds. */
import { afterAll, expect, test } from "bun:test";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { errorText } from "../../src/base/error.ts";
import { readKubeconfig } from "../../src/sources/kube/client.ts";
import { createAuthority } from "../helpers/certificates.ts";
import { runCommand } from "../helpers/command.ts";
import { kubeconfigText } from "../helpers/kubeconfig.ts";
import { rejection } from "../helpers/rejection.ts";
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

/** What a request needs by the kubeconfig of this user, in a cluster with these members as well. */
async function read(user: object, more: object = {}): Promise<Decoder> {
  const cluster = { server: "https://10.0.0.1:6443", "tls-server-name": "kubernetes", ...more };
  return new Decoder(
    parseJson(await readKubeconfig(await directory.write("kubeconfig", kubeconfigText(user, cluster)))),
  );
}

const execVersion = "client.authentication.k8s.io/v1";

/** A user whose credentials come from a plugin: a shell script, that is, with these members of `exec` as well. */
async function pluginUser(script: string, more: object = {}): Promise<object> {
  await directory.write("plugin", `#!/bin/sh\n${script}\n`, 0o755);
  return { exec: { apiVersion: execVersion, command: "./plugin", interactiveMode: "Never", ...more } };
}

/** The script of a plugin that gives this. */
function giving(status: object, apiVersion: string = execVersion): string {
  return `echo '${JSON.stringify({ apiVersion, kind: "ExecCredential", status })}'`;
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

test("readKubeconfig() takes the token of a plugin, and says when the plugin says or the token says that it ends", async () => {
  const expirationTimestamp = "2026-01-02T03:04:05Z";
  const opaque = await read(await pluginUser(giving({ token: "opaque", expirationTimestamp })));
  expect(opaque.field("authorization").string()).toBe("Bearer opaque");
  expect(opaque.field("expires").integer()).toBe(Date.parse(expirationTimestamp));
  const token = tokenUntil(2000);
  const sooner = await read(await pluginUser(giving({ token, expirationTimestamp })));
  expect(sooner.field("authorization").string()).toBe(`Bearer ${token}`);
  expect(sooner.field("expires").integer()).toBe(2_000_000);
  expect((await read(await pluginUser(giving({ token: "t" })))).field("expires").integer()).toBeUndefined();
});

test("readKubeconfig() takes the certificate of a plugin, and says when that ends", async () => {
  await directory.write("given", JSON.stringify({ clientCertificateData: client.cert, clientKeyData: client.key }));
  const head = `{"apiVersion":"${execVersion}","kind":"ExecCredential","status":`;
  const access = await read(await pluginUser(`printf '%s' '${head}'; cat '${directory.join("given")}'; printf '}'`));
  expect([access.field("cert").string(), access.field("key").string()]).toEqual([client.cert, client.key]);
  expect(access.field("authorization").string()).toBeUndefined();
  expect(access.field("expires").integer()).toBeGreaterThan(Date.now());
});

test("readKubeconfig() tells a plugin in KUBERNETES_EXEC_INFO what it is asked, and of the cluster where it wants that", async () => {
  const seen = directory.join("seen");
  const script = `printf '%s' "$KUBERNETES_EXEC_INFO" > '${seen}'; echo "$1 $MORE" > '${seen}.words'; ${giving({ token: "t" })}`;
  const words = { args: ["--for"], env: [{ name: "MORE", value: "more" }] };
  await read(await pluginUser(script, words));
  const asked = { kind: "ExecCredential", apiVersion: execVersion };
  expect(await Bun.file(seen).json()).toEqual({ ...asked, spec: { interactive: false } });
  expect(await Bun.file(`${seen}.words`).text()).toBe("--for more\n");
  const ca = await directory.write("authority", "PEM");
  const extension = { name: "client.authentication.k8s.io/exec", extension: { audience: "a" } };
  await read(await pluginUser(script, { provideClusterInfo: true }), {
    "certificate-authority": ca,
    extensions: [extension],
  });
  const cluster = {
    server: "https://10.0.0.1:6443",
    "tls-server-name": "kubernetes",
    "certificate-authority-data": Buffer.from("PEM").toString("base64"),
    config: { audience: "a" },
  };
  expect(await Bun.file(seen).json()).toEqual({ ...asked, spec: { cluster, interactive: false } });
});

test("readKubeconfig() does not run a plugin twice", async () => {
  const log = directory.join("runs");
  await read(await pluginUser(`echo run >> '${log}'; ${giving({ token: "t" })}`));
  expect(await Bun.file(log).text()).toBe("run\n");
});

test.each<readonly [string, string, object, string]>([
  ["fails", "echo no card >&2; exit 3", {}, "exit 3, no card"],
  ["is not there", "", { command: "/nowhere/plugin", installHint: "apt install it" }, "(apt install it): "],
  ["writes no JSON", "echo hello", {}, "it is not JSON"],
  ["answers another version", giving({ token: "t" }, "client.authentication.k8s.io/v1beta1"), {}, "v1beta1"],
  ["gives nothing", giving({}), {}, "it gives neither a token nor a certificate"],
  ["gives half a pair", giving({ clientKeyData: "k" }), {}, "it gives a certificate or a key, not both"],
  ["says no time", giving({ token: "t", expirationTimestamp: "soon" }), {}, 'expirationTimestamp "soon" is no time'],
  ["is of no version", giving({ token: "t" }), { apiVersion: "v1" }, 'its apiVersion is "v1", and must be client'],
  ["wants to ask", giving({ token: "t" }), { interactiveMode: "Always" }, "interactiveMode is Always, but nobody"],
])("readKubeconfig() names a plugin that %s", async (_, script, more, message) => {
  const text = errorText(await rejection(read(await pluginUser(script, more))));
  expect(text).toMatch(/^Cannot use exec plugin "\S+plugin"/);
  expect(text).toContain(message);
});

test("readKubeconfig() takes a server without TLS, as kubectl proxy is one", async () => {
  const access = await read({ token: "t" }, { server: "http://127.0.0.1:8001" });
  expect(access.field("server").string()).toBe("http://127.0.0.1:8001");
  expect(access.field("verify").boolean()).toBe(true);
});

test("readKubeconfig() refuses a user that acts as another", async () => {
  expect((await rejection(read({ token: "t", as: "somebody" }))).message).toContain('acts as "somebody"');
});

test("readKubeconfig() finds a user's token file also in a later file of KUBECONFIG", async () => {
  await directory.write("more/token", "from-file");
  const text = kubeconfigText({ tokenFile: "token" }, { server: "https://10.0.0.1:6443" });
  const second = await directory.write("more/second", text);
  const empty = { apiVersion: "v1", kind: "Config", clusters: [], users: [], contexts: [] };
  const first = await directory.write("first", JSON.stringify({ ...empty, "current-context": "x" }));
  const before = process.env["KUBECONFIG"];
  process.env["KUBECONFIG"] = `${first}:${second}`;
  try {
    const access = new Decoder(parseJson(await readKubeconfig(undefined)));
    expect(access.field("authorization").string()).toBe("Bearer from-file");
  } finally {
    if (before === undefined) delete process.env["KUBECONFIG"];
    else process.env["KUBECONFIG"] = before;
  }
});
