/** What the library makes of a kubeconfig, and until when that holds. */
import { afterAll, expect, test } from "bun:test";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { errorText } from "../../src/base/error.ts";
import { readKubeconfig } from "../../src/sources/kube/client.ts";
import type { KubeconfigPart } from "../../src/sources/kube/kubeconfig.ts";
import { createAuthority } from "../helpers/certificates.ts";
import { runCommand } from "../helpers/command.ts";
import { kubeconfigText } from "../helpers/kubeconfig.ts";
import { rejection } from "../helpers/rejection.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";

const directory = await createTemporaryDirectory();
afterAll(() => directory[Symbol.asyncDispose]());
const authority = await createAuthority(directory);
const client = await authority.sign("client", "/O=system:nodes/CN=system:node:a");
const other = await authority.sign("other", "/CN=other");

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
  return await readText(kubeconfigText(user, cluster));
}

async function readText(text: string, part: KubeconfigPart = "access"): Promise<Decoder> {
  return new Decoder(parseJson(await readKubeconfig(await directory.write("kubeconfig", text), part)));
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
  const ca = authority.own.certPath;
  const extension = { name: "client.authentication.k8s.io/exec", extension: { audience: "a" } };
  await read(await pluginUser(script, { provideClusterInfo: true }), {
    "certificate-authority": ca,
    extensions: [extension],
  });
  const cluster = {
    server: "https://10.0.0.1:6443",
    "tls-server-name": "kubernetes",
    "certificate-authority-data": Buffer.from(authority.own.cert).toString("base64"),
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

test.each<readonly [string, object, string]>([
  ["acts as another", { as: "somebody" }, 'its user acts as "somebody" (as, impersonation), which is not supported'],
  ["acts as one of a group", { "as-groups": ["g"] }, 'its user acts as "["g"]" (as-groups, impersonation)'],
  ["acts as a number", { "as-uid": "7" }, 'its user acts as "7" (as-uid, impersonation)'],
  [
    "has a provider that gives nothing",
    { "auth-provider": { name: "gcp", config: { expiry: "2020-01-01T00:00:00Z", "access-token": "t" } } },
    'its user\'s auth-provider "gcp" gives no credentials (an exec plugin is what kubectl has in its place): Token is exp',
  ],
  [
    "has a file that is not there",
    { "client-certificate": "no.crt" },
    'unable to read its client-certificate "no.crt"',
  ],
  ["has a token file that is not there", { tokenFile: "/no/token" }, 'unable to read its tokenFile "/no/token": '],
  ["has data that is none", { "client-certificate-data": "eA==" }, "its client-certificate is no certificate in PEM"],
  ["has a key that is none", { "client-key-data": "eA==" }, "its client-key is no private key in PEM"],
  [
    "has another's key",
    { "client-certificate": client.certPath, "client-key": other.keyPath },
    "its client-key is not that of its client-certificate",
  ],
])("readKubeconfig() refuses a user that %s, and says so", async (_, user, message) => {
  expect(errorText(await rejection(read(user)))).toStartWith(message);
});

test("readKubeconfig() says what of a cluster cannot be used, also where nothing is to be checked", async () => {
  const skip = { "insecure-skip-tls-verify": true, "certificate-authority": "/no/ca.crt" };
  expect(errorText(await rejection(read({ token: "t" }, skip)))).toStartWith(
    'unable to read its certificate-authority "/no/ca.crt": ',
  );
  const text = errorText(await rejection(read({ token: "t" }, { "certificate-authority-data": "eA==" })));
  expect(text).toStartWith("its certificate-authority is no certificate in PEM: ");
});

type Entries = Readonly<Record<string, object>>;

/** A kubeconfig of these entries, with one context. */
function entriesText(clusters: Entries, users: Entries, context: object, more: object = {}): string {
  return JSON.stringify({
    clusters: Object.entries(clusters).map(([name, cluster]) => ({ name, cluster })),
    users: Object.entries(users).map(([name, user]) => ({ name, user })),
    contexts: [{ name: "x", context }],
    ...more,
  });
}

test.each<readonly [string, object, object, string]>([
  ["no current context", { cluster: "c" }, {}, "it has no current-context"],
  ["one that is not there", { cluster: "c" }, { "current-context": "y" }, 'context "y" was not found'],
  [
    "a user that is not there",
    { cluster: "c", user: "v" },
    { "current-context": "x" },
    'user "v" was not found for context "x"',
  ],
  [
    "a cluster that is not there",
    { cluster: "d", user: "u" },
    { "current-context": "x" },
    'cluster "d" was not found for context "x"',
  ],
])("readKubeconfig() refuses %s, and asks nobody as somebody else", async (_, context, more, message) => {
  const text = entriesText({ c: { server: "https://a:1" } }, { u: { token: "t" } }, context, more);
  expect((await rejection(readText(text))).message).toStartWith(message);
});

test("readKubeconfig() keeps to a cluster's authority where its context names no user", async () => {
  const cluster = { server: "https://a:1", "certificate-authority": authority.own.certPath };
  const access = await readText(entriesText({ c: cluster }, {}, { cluster: "c" }, { "current-context": "x" }));
  expect(access.field("ca").string()).toBe(authority.own.cert);
  expect(access.field("authorization").string()).toBeUndefined();
});

test("readKubeconfig() says which cluster it is without running a plugin or reading what the user has", async () => {
  const log = directory.join("cluster-runs");
  const user = await pluginUser(`echo run >> '${log}'; sleep 60`);
  const cluster = { server: "https://10.0.0.1:6443", "certificate-authority": authority.own.certPath };
  for (const each of [user, { tokenFile: "/no/token" }, { as: "somebody" }]) {
    const known = await readText(kubeconfigText(each, cluster), "cluster");
    expect(known.field("server").string()).toBe("https://10.0.0.1:6443");
    expect(known.field("ca").string()).toBe(authority.own.cert);
  }
  expect(await Bun.file(log).exists()).toBe(false);
});

/** Reads the default kubeconfig where the environment has these variables. */
async function readDefault(env: Readonly<Record<"KUBECONFIG" | "HOME", string>>): Promise<Decoder> {
  const before = { KUBECONFIG: process.env["KUBECONFIG"], HOME: process.env["HOME"] };
  Object.assign(process.env, env);
  try {
    return new Decoder(parseJson(await readKubeconfig(undefined, "access")));
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

test("readKubeconfig() merges the files of KUBECONFIG as kubectl does: the first of a name wins", async () => {
  const names = { cluster: "c", user: "u" };
  const first = entriesText({ c: { server: "https://first:1" } }, {}, names);
  const current = { "current-context": "x" };
  const second = entriesText({ c: { server: "https://second:1" } }, { u: { tokenFile: "token" } }, names, current);
  await directory.write("more/token", "from-file");
  const paths = [
    directory.join("absent"),
    await directory.write("empty", ""),
    await directory.write("first", first),
    await directory.write("more/second", second),
  ];
  const access = await readDefault({ KUBECONFIG: paths.join(":"), HOME: "/nowhere" });
  expect(access.field("server").string()).toBe("https://first:1");
  expect(access.field("authorization").string()).toBe("Bearer from-file");
});

test("readKubeconfig() asks no server of its own invention where nothing says which", async () => {
  const { message } = await rejection(readDefault({ KUBECONFIG: "", HOME: "/nowhere" }));
  expect(message).toBe(
    "invalid configuration: no configuration has been provided: there is no service account of a pod, and no file " +
      '"/nowhere/.kube/config"',
  );
});
