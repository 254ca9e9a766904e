/** What has to be checked of whoever claims to be the API server: the same for each way in which we ask it. */
import { expect, test } from "bun:test";

import { errorText } from "../../src/base/error.ts";
import type { Endpoint } from "../../src/sources/kube/transport.ts";
import type { CertificateAuthority, Certificate } from "./certificates.ts";
import { createAuthority } from "./certificates.ts";
import { rejection } from "./rejection.ts";
import type { TemporaryDirectory } from "./temp.ts";
import { type Answer, jsonAnswer, TlsServer } from "./tls-server.ts";

/** What a client goes by; what is left out is: this authority, no certificate of its own, and checking. */
export type TlsChanges = Partial<NonNullable<Endpoint["tls"]>>;

/** One way of asking: GETs something as the bearer of `bearerToken`, and returns the name in the list that it gets. */
export interface TlsAsker {
  /** For the tests' names. */
  readonly name: string;
  /** The name in the metadata of the answer. Rejects where there is none to be trusted. */
  ask(endpoint: Endpoint): Promise<string>;
  /** What a server is to answer, so that there is a name; the usual one is an empty list. */
  readonly answer?: Answer;
}

/** The token that an asker sends. */
export const bearerToken = "secret";

/** Certificates of an authority, and of one that nobody asked for. */
export interface TlsParties {
  readonly authority: CertificateAuthority;
  readonly foreign: CertificateAuthority;
  /** For 127.0.0.1 and "kubernetes". */
  readonly good: Certificate;
  /** For another address, and another name; its subject, which must not count, says 127.0.0.1. */
  readonly misnamed: Certificate;
  /** Like `good`, but over since yesterday. */
  readonly expired: Certificate;
  /** Like `good`, but signed by itself. */
  readonly alone: Certificate;
  readonly client: Certificate;
  /** A client of the other authority. */
  readonly stranger: Certificate;
}

/** Makes all of them. */
export async function createParties(directory: TemporaryDirectory): Promise<TlsParties> {
  const [authority, foreign] = [await createAuthority(directory), await createAuthority(directory, "foreign")];
  const names = ["IP:127.0.0.1", "DNS:kubernetes"];
  return {
    authority,
    foreign,
    good: await authority.sign("good", "/CN=good", names),
    misnamed: await authority.sign("misnamed", "/CN=127.0.0.1", ["IP:9.9.9.9", "DNS:other"]),
    expired: await authority.sign("expired", "/CN=expired", names, -1),
    alone: (await createAuthority(directory, "alone", names)).own,
    client: await authority.sign("client", "/O=system:nodes/CN=system:node:a"),
    stranger: await foreign.sign("stranger", "/CN=stranger"),
  };
}

/** The endpoint of a server of the tests'. */
export function endpointOf(server: TlsServer, parties: TlsParties, changes: TlsChanges = {}): Endpoint {
  const usual = {
    ca: parties.authority.own.cert,
    cert: undefined,
    key: undefined,
    serverName: undefined,
    verify: true,
  };
  return { host: "127.0.0.1", port: server.port, tls: { ...usual, ...changes } };
}

/** An empty list with this name. */
export function helloAnswer(...[, connection]: Parameters<Answer>): void {
  connection.write(jsonAnswer(200, { kind: "NodeList", apiVersion: "v1", metadata: { selfLink: "hello" }, items: [] }));
  connection.end();
}

/** Makes the tests of one way of asking. */
export function testTls({ name, answer = helloAnswer, ...asker }: TlsAsker, parties: TlsParties): void {
  const { authority, foreign, good, misnamed, expired, alone, client, stranger } = parties;

  function askFor(server: TlsServer, changes: TlsChanges = {}): Promise<string> {
    return asker.ask(endpointOf(server, parties, changes));
  }

  test(`${name} talks to a server whose certificate the authority has signed for its address, or for the name asked for`, async () => {
    using server = new TlsServer(answer, good);
    expect(await askFor(server)).toBe("hello");
    expect(await askFor(server, { serverName: "kubernetes" })).toBe("hello");
    expect(await askFor(server, { ca: `${foreign.own.cert}${authority.own.cert}` })).toBe("hello");
    const { headers } = server.requests[0] ?? { headers: new Map<string, string>() };
    expect(headers.get("authorization")).toBe(`Bearer ${bearerToken}`);
    expect(headers.get("host")).toBe(`127.0.0.1:${server.port}`);
  });

  test.each<readonly [string, Certificate, TlsChanges, string]>([
    ["another authority's", good, { ca: foreign.own.cert }, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["nobody's whom the system trusts", good, { ca: undefined }, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["signed by itself", alone, {}, "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["over", expired, {}, "CERT_HAS_EXPIRED"],
    ["not for the address", misnamed, {}, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["not for the name asked for", good, { serverName: "other" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    [
      "for another address, and not for the name",
      misnamed,
      { serverName: "kubernetes" },
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ],
  ])(`${name} sends nothing where the certificate is %s`, async (_, certificate, changes, code) => {
    using server = new TlsServer(answer, certificate);
    const error = await rejection(askFor(server, changes));
    expect(errorText(error)).toContain(`Cannot talk to 127.0.0.1:${server.port}: its certificate is not accepted`);
    expect(error).toMatchObject({ cause: { code } });
    expect(server.requests).toEqual([]);
  });

  test(`${name} trusts whom SSL_CERT_FILE names where no authority is given, and only then`, async () => {
    using server = new TlsServer(answer, good);
    await withEnvironment({ SSL_CERT_FILE: authority.own.certPath }, async () => {
      expect(await askFor(server, { ca: undefined })).toBe("hello");
      await rejection(askFor(server, { ca: foreign.own.cert }));
    });
    expect(server.requests).toHaveLength(1);
  });

  test(`${name} checks whatever the environment says, and takes no proxy from it`, async () => {
    using server = new TlsServer(answer, good);
    using wrong = new TlsServer(answer, misnamed);
    const proxy = "http://127.0.0.1:1";
    const proxies = { HTTPS_PROXY: proxy, https_proxy: proxy, HTTP_PROXY: proxy, ALL_PROXY: proxy };
    await withEnvironment({ NODE_TLS_REJECT_UNAUTHORIZED: "0", ...proxies }, async () => {
      expect(await askFor(server)).toBe("hello");
      expect(errorText(await rejection(askFor(wrong)))).toContain("its certificate is not accepted");
      expect(errorText(await rejection(askFor(server, { ca: foreign.own.cert })))).toContain("not accepted");
    });
    expect(wrong.requests).toEqual([]);
  });

  test(`${name} checks again after it was told not to, and after a good connection`, async () => {
    using server = new TlsServer(answer, misnamed);
    using other = new TlsServer(answer, good);
    expect(await askFor(other)).toBe("hello");
    expect(await askFor(server, { verify: false, ca: undefined })).toBe("hello");
    expect(errorText(await rejection(askFor(server)))).toContain("its certificate is not accepted");
    expect(errorText(await rejection(askFor(other, { ca: foreign.own.cert })))).toContain("not accepted");
  });

  test(`${name} shows its own certificate, is refused without one or with a stranger's, and shows it to nobody else`, async () => {
    using server = new TlsServer(answer, good, authority.own.cert);
    expect(await askFor(server, { cert: client.cert, key: client.key })).toBe("hello");
    await rejection(askFor(server));
    await rejection(askFor(server, { cert: stranger.cert, key: stranger.key }));
    expect(server.requests).toHaveLength(1);
  });
}

/** Runs with these variables, and puts back what was. */
async function withEnvironment(changed: Readonly<Record<string, string>>, run: () => Promise<void>): Promise<void> {
  const before = Object.keys(changed).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, changed);
  try {
    await run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
