/** How the API server is asked: as whom, and what its refusals come to. */
import { afterAll, expect, test } from "bun:test";

import { errorText } from "../../src/base/error.ts";
import { ApiError, KubeApi, protobufType } from "../../src/sources/kube/api.ts";
import { findClusterServer, parseServer, ServiceAccount } from "../../src/sources/kube/credentials.ts";
import { Kubeconfig } from "../../src/sources/kube/kubeconfig.ts";
import { createAuthority } from "../helpers/certificates.ts";
import { encodeObject } from "../helpers/protobuf.ts";
import { rejection } from "../helpers/rejection.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { type Answer, TlsServer, wholeAnswer } from "../helpers/tls-server.ts";

const directory = await createTemporaryDirectory();
afterAll(() => directory[Symbol.asyncDispose]());
const authority = await createAuthority(directory);
const certificate = await authority.sign("server", "/CN=server", ["IP:127.0.0.1"]);
await directory.write("ca.crt", authority.own.cert);

const request = { what: "get it", method: "GET", path: "/it", accept: protobufType } as const;
const { signal } = new AbortController();

/** Answers only who has this token. */
function wantToken(token: string): Answer {
  return (seen, connection) => {
    const known = seen.headers.get("authorization") === `Bearer ${token}`;
    connection.write(known ? wholeAnswer(200, "it") : wholeAnswer(401, "Unauthorized"));
  };
}

function apiOf(server: TlsServer): KubeApi {
  return new KubeApi(new ServiceAccount(`https://127.0.0.1:${server.port}`, directory.path));
}

async function askText(api: KubeApi): Promise<string> {
  return new TextDecoder().decode(await api.ask(request, signal));
}

test("KubeApi sends the token as it is in the file at the time", async () => {
  await directory.write("token", "first\n");
  using server = new TlsServer(wantToken("first"), certificate);
  const api = apiOf(server);
  expect(await askText(api)).toBe("it");
  await directory.write("token", "second\n");
  server.answer = wantToken("second");
  expect(await askText(api)).toBe("it");
  expect(server.requests).toHaveLength(2);
});

test("KubeApi asks once more with a fresh token when the server refuses the one it had, and no more than once", async () => {
  await directory.write("token", "old");
  using server = new TlsServer((seen, connection) => {
    // The kubelet replaces the token just now.
    void directory.write("token", "new").then(() => wantToken("new")(seen, connection));
  }, certificate);
  const api = apiOf(server);
  expect(await askText(api)).toBe("it");
  expect(server.requests.map(({ headers }) => headers.get("authorization"))).toEqual(["Bearer old", "Bearer new"]);
  server.answer = wantToken("another");
  expect(await rejection(askText(api))).toMatchObject({ code: 401 });
  expect(server.requests).toHaveLength(4);
});

test("KubeApi tells what the API server says, and what a proxy before it says", async () => {
  using server = new TlsServer((_, connection) => {
    const status = encodeObject("Status", [
      [3, 'nodes "a" not found'],
      [4, "NotFound"],
      [6, 404],
    ]);
    connection.write(wholeAnswer(404, status));
  }, certificate);
  const error = await rejection(askText(apiOf(server)));
  expect(error).toBeInstanceOf(ApiError);
  expect(error.message).toBe('Cannot get it: the API server answers 404 NotFound: nodes "a" not found');
  server.answer = (_, connection): void => connection.write(wholeAnswer(502, "<html>Bad Gateway</html>"));
  expect((await rejection(askText(apiOf(server)))).message).toContain("502 <html>Bad Gateway</html>");
});

test("ServiceAccount gives its token to no server without TLS", async () => {
  const { authorization, endpoint } = await new ServiceAccount("http://127.0.0.1:8080", directory.path).access();
  expect([authorization, endpoint.tls]).toEqual([undefined, undefined]);
});

test("findClusterServer() reads what the kubelet sets, and parseServer() takes URLs of every form", () => {
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
  expect(findClusterServer(env)).toBe("https://[fd00::1]:443");
  expect(findClusterServer({ KUBERNETES_SERVICE_HOST: "10.96.0.1" })).toBeUndefined();
  expect(parseServer("https://[fd00::1]:6443/")).toEqual({ host: "fd00::1", port: 6443, https: true, basePath: "" });
  expect(parseServer("https://rancher/k8s/c1/")).toEqual({
    host: "rancher",
    port: 443,
    https: true,
    basePath: "/k8s/c1",
  });
  expect(parseServer("http://10.0.0.1")).toEqual({ host: "10.0.0.1", port: 80, https: false, basePath: "" });
  for (const text of ["10.0.0.1:6443", "ftp://a", "", "https://"])
    expect(() => parseServer(text)).toThrow("Cannot use");
});

function kubeconfigText(changes: Readonly<Record<string, unknown>> = {}): string {
  const usual = { server: "https://10.0.0.1:6443", ca: "CA", cert: null, key: null, serverName: null, verify: true };
  return JSON.stringify({ ...usual, authorization: "Bearer t", proxy: null, expires: null, ...changes });
}

interface Reading {
  readonly kubeconfig: Kubeconfig;
  /** How often it was read. */
  readonly count: () => number;
  readonly bearer: () => Promise<string | undefined>;
}

/** A kubeconfig with another token each time it is read; `read` may fail, or wait, or say when that ends. */
function rereading(read: (count: number) => Promise<number | null> | number | null): Reading {
  let reads = 0;
  const kubeconfig = new Kubeconfig("/k", "", {
    read: async () => {
      const count = ++reads;
      const expires = await read(count);
      return kubeconfigText({ authorization: `Bearer ${count}`, expires });
    },
    report: () => undefined,
  });
  return { kubeconfig, count: () => reads, bearer: async () => (await kubeconfig.access()).authorization };
}

test("Kubeconfig reads once, and again when the server has refused or the credentials end", async () => {
  const { kubeconfig, bearer, count } = rereading((reading) => (reading === 1 ? null : Date.now() - 1));
  const first = await kubeconfig.access();
  expect([first.authorization, await bearer()]).toEqual(["Bearer 1", "Bearer 1"]);
  kubeconfig.refused(first);
  expect([await bearer(), await bearer()]).toEqual(["Bearer 2", "Bearer 3"]);
  // Which server it is does not end with them.
  expect([(await kubeconfig.server()).host, count()]).toEqual(["10.0.0.1", 3]);
});

test("Kubeconfig reads once for all who ask meanwhile, also when it has failed before", async () => {
  const { bearer, count } = rereading(async (reading) => {
    await Bun.sleep(5);
    if (reading === 1) throw new Error("not now");
    return null;
  });
  const failed = await Promise.allSettled([bearer(), bearer(), bearer()]);
  expect([failed.map(({ status }) => status), count()]).toEqual([["rejected", "rejected", "rejected"], 1]);
  expect(await Promise.all([bearer(), bearer(), bearer()])).toEqual(["Bearer 2", "Bearer 2", "Bearer 2"]);
  expect(count()).toBe(2);
});

test("Kubeconfig reads once for many whom the server has refused the same, however late they say so", async () => {
  const { kubeconfig, bearer, count } = rereading(() => null);
  const refused = await kubeconfig.access();
  kubeconfig.refused(refused);
  const next = bearer();
  kubeconfig.refused(refused);
  expect([await next, await bearer()]).toEqual(["Bearer 2", "Bearer 2"]);
  kubeconfig.refused(refused);
  expect([await bearer(), count()]).toEqual(["Bearer 2", 2]);
});

test("Kubeconfig asks anew before the credentials end, and goes on with them until then when that fails", async () => {
  const began = Date.now();
  const { bearer, count } = rereading((reading) => {
    if (reading > 1) throw new Error("not now");
    return began + 1500;
  });
  expect([await bearer(), await bearer(), count()]).toEqual(["Bearer 1", "Bearer 1", 1]);
  await Bun.sleep(began + 900 - Date.now());
  expect([await bearer(), count()]).toEqual(["Bearer 1", 2]);
  await Bun.sleep(began + 1510 - Date.now());
  expect(errorText(await rejection(bearer()))).toBe('Cannot use kubeconfig "/k": not now');
});

test("Kubeconfig honours insecure-skip-tls-verify, with a warning at every start", async () => {
  const lines: string[] = [];
  const kubeconfig = new Kubeconfig("/k", "https://other:1", {
    read: () => Promise.resolve(kubeconfigText({ verify: false })),
    report: (line) => lines.push(line),
  });
  const access = await kubeconfig.access();
  expect(access.endpoint).toMatchObject({ host: "other", port: 1, tls: { verify: false } });
  kubeconfig.refused(access);
  await kubeconfig.access();
  expect(lines).toEqual(['kubeconfig "/k" says insecure-skip-tls-verify: nobody checks who the API server is']);
});

test.each([
  ["a proxy", { proxy: "http://p" }, 'its proxy-url "http://p" is not supported'],
  ["a certificate alone", { cert: "C" }, "it has a client certificate without key"],
  ["no server", { server: "" }, "Cannot use API server"],
])("Kubeconfig refuses %s, and reads again the next time", async (_, changes, message) => {
  let reads = 0;
  const kubeconfig = new Kubeconfig("/k", "", {
    read: () => Promise.resolve(kubeconfigText(reads++ === 0 ? changes : {})),
    report: () => undefined,
  });
  const text = errorText(await rejection(kubeconfig.access()));
  expect(text).toStartWith('Cannot use kubeconfig "/k": ');
  expect(text).toContain(message);
  expect((await kubeconfig.access()).endpoint.host).toBe("10.0.0.1");
});
