import { expect, test } from "bun:test";

import { parseCidr } from "../../../src/addr/cidr.ts";
import { parseIp } from "../../../src/addr/ip.ts";
import { Decoder, type JsonObject } from "../../../src/base/decode.ts";
import { encodeResult } from "../../../src/cni/result-encode.ts";
import { type CniResult, decodeDns, decodeResult } from "../../../src/cni/result.ts";
import { type CniVersion, cniVersions } from "../../../src/cni/version.ts";

const plain = { mtu: undefined, advmss: undefined, priority: undefined, table: undefined, scope: undefined };

/** A pod with two families, as bridge and host-local make it, with all that only 1.1.0 knows. */
const full: CniResult = {
  interfaces: [
    {
      name: "cni0",
      mac: "0a:58:0a:f4:01:01",
      sandbox: undefined,
      mtu: 1450,
      socketPath: undefined,
      pciId: undefined,
    },
    {
      name: "eth0",
      mac: "0a:58:0a:f4:01:02",
      sandbox: "/run/netns/pod",
      mtu: 1450,
      socketPath: "/run/vhost",
      pciId: "0000:00:1f.6",
    },
  ],
  ips: [
    { address: parseCidr("10.244.1.2/24"), gateway: parseIp("10.244.1.1"), interfaceIndex: 0 },
    { address: parseCidr("fd00::2/64"), gateway: undefined, interfaceIndex: 1 },
    { address: parseCidr("10.245.1.2/24"), gateway: undefined, interfaceIndex: undefined },
  ],
  routes: [
    { ...plain, destination: parseCidr("0.0.0.0/0"), gateway: parseIp("10.244.1.1") },
    { ...plain, destination: parseCidr("fd00::/8"), gateway: undefined },
    {
      destination: parseCidr("10.244.0.0/16"),
      gateway: undefined,
      mtu: 1400,
      advmss: 1360,
      priority: 7,
      table: 0,
      scope: 0,
    },
  ],
  dns: { nameservers: ["10.96.0.10"], domain: "cluster.local", search: ["a", "b"], options: ["ndots:5"] },
};

const dns = { nameservers: ["10.96.0.10"], domain: "cluster.local", search: ["a", "b"], options: ["ndots:5"] };

const routes = [
  { dst: "0.0.0.0/0", gw: "10.244.1.1" },
  { dst: "fd00::/8" },
  { dst: "10.244.0.0/16", mtu: 1400, advmss: 1360, priority: 7, table: 0, scope: 0 },
];

const families = {
  ip4: {
    ip: "10.244.1.2/24",
    gateway: "10.244.1.1",
    routes: [{ dst: "0.0.0.0/0", gw: "10.244.1.1" }, { dst: "10.244.0.0/16" }],
  },
  ip6: { ip: "fd00::2/64", routes: [{ dst: "fd00::/8" }] },
  dns,
};

const lists = {
  interfaces: [
    { name: "cni0", mac: "0a:58:0a:f4:01:01" },
    { name: "eth0", mac: "0a:58:0a:f4:01:02", sandbox: "/run/netns/pod" },
  ],
  ips: [
    { version: "4", interface: 0, address: "10.244.1.2/24", gateway: "10.244.1.1" },
    { version: "6", interface: 1, address: "fd00::2/64" },
    { version: "4", address: "10.245.1.2/24" },
  ],
  routes,
  dns,
};

const ips = [
  { interface: 0, address: "10.244.1.2/24", gateway: "10.244.1.1" },
  { interface: 1, address: "fd00::2/64" },
  { address: "10.245.1.2/24" },
];

/** The same result in every version, to the last member. */
const forms: Readonly<Record<CniVersion, JsonObject>> = {
  "0.1.0": { cniVersion: "0.1.0", ...families },
  "0.2.0": { cniVersion: "0.2.0", ...families },
  "0.3.0": { cniVersion: "0.3.0", ...lists },
  "0.3.1": { cniVersion: "0.3.1", ...lists },
  "0.4.0": { cniVersion: "0.4.0", ...lists },
  "1.0.0": { cniVersion: "1.0.0", ...lists, ips },
  "1.1.0": {
    cniVersion: "1.1.0",
    interfaces: [
      { name: "cni0", mac: "0a:58:0a:f4:01:01", mtu: 1450 },
      {
        name: "eth0",
        mac: "0a:58:0a:f4:01:02",
        sandbox: "/run/netns/pod",
        mtu: 1450,
        socketPath: "/run/vhost",
        pciID: "0000:00:1f.6",
      },
    ],
    ips,
    routes,
    dns,
  },
};

for (const version of cniVersions) {
  test(`encodeResult() writes all that version ${version} knows, and nothing else`, () => {
    // toStrictEqual: a member that is undefined would be a member that is there.
    expect(encodeResult(full, version)).toStrictEqual(forms[version]);
  });

  test(`decodeResult() reads what encodeResult() writes in version ${version}`, () => {
    const form = encodeResult(full, version);
    expect(encodeResult(decodeResult(new Decoder(form), "1.1.0"), version)).toStrictEqual(form);
  });

  test(`decodeResult() takes the configuration's version ${version} for a result that names none`, () => {
    const { cniVersion: _, ...unnamed } = encodeResult(full, version);
    expect(encodeResult(decodeResult(new Decoder(unnamed), version), version)).toStrictEqual(forms[version]);
    const empty = decodeResult(new Decoder({ ...unnamed, cniVersion: "" }), version);
    expect(encodeResult(empty, version)).toStrictEqual(forms[version]);
  });
}

test("decodeResult() reads 1.1.0 back without loss", () => {
  expect(decodeResult(new Decoder(forms["1.1.0"]), "0.3.1")).toEqual(full);
});

test("decodeResult() reads the two families of 0.2.0 in order, with their routes", () => {
  expect(decodeResult(new Decoder(forms["0.2.0"]), "0.2.0")).toEqual({
    interfaces: [],
    ips: [
      { address: parseCidr("10.244.1.2/24"), gateway: parseIp("10.244.1.1"), interfaceIndex: undefined },
      { address: parseCidr("fd00::2/64"), gateway: undefined, interfaceIndex: undefined },
    ],
    routes: [
      { ...plain, destination: parseCidr("0.0.0.0/0"), gateway: parseIp("10.244.1.1") },
      { ...plain, destination: parseCidr("10.244.0.0/16"), gateway: undefined },
      { ...plain, destination: parseCidr("fd00::/8"), gateway: undefined },
    ],
    dns,
  });
});

const nothing: CniResult = { interfaces: [], ips: [], routes: [], dns: undefined };

test("encodeResult() cannot write a result without addresses before 0.3.0", () => {
  const problem = "cannot convert: no valid IP addresses";
  for (const version of ["0.1.0", "0.2.0"] as const) expect(() => encodeResult(nothing, version)).toThrow(problem);
});

test("encodeResult() leaves out what is empty, but for the dns of the old versions", () => {
  for (const version of ["0.3.0", "0.3.1", "0.4.0"] as const) {
    expect(encodeResult(nothing, version)).toStrictEqual({ cniVersion: version, dns: {} });
  }
  for (const version of ["1.0.0", "1.1.0"] as const) {
    expect(encodeResult(nothing, version)).toStrictEqual({ cniVersion: version });
  }
});

test("encodeResult() drops the routes of a family without address before 0.3.0", () => {
  const one = { ...full, ips: full.ips.slice(1, 2), dns: undefined };
  expect(encodeResult(one, "0.2.0")).toStrictEqual({
    cniVersion: "0.2.0",
    ip6: { ip: "fd00::2/64", routes: [{ dst: "fd00::/8" }] },
    dns: {},
  });
});

test("decodeResult() matches keys in any case and leaves null at the default", () => {
  const json = { CNIVersion: "1.0.0", IPs: [{ Address: "10.0.0.5/24", gateway: null, interface: null }], routes: null };
  const ip = { address: parseCidr("10.0.0.5/24"), gateway: undefined, interfaceIndex: undefined };
  expect(decodeResult(new Decoder(json), "1.0.0")).toEqual({ ...nothing, ips: [ip] });
});

test("decodeResult() refuses a version that does not exist", () => {
  const problem = 'unsupported CNI result version "9.9.9"';
  expect(() => decodeResult(new Decoder({ cniVersion: "9.9.9" }), "1.0.0")).toThrow(problem);
});

test("decodeResult() names the place of what is wrong", () => {
  const wrong: readonly (readonly [JsonObject, string])[] = [
    [{ ips: [{ address: "10.0.0.5" }] }, '"ips[0].address"'],
    [{ ips: [{}] }, '"ips[0].address"'],
    [{ ips: [{ address: "10.0.0.5/24", gateway: "x" }] }, '"ips[0].gateway"'],
    [{ routes: [{ dst: "10.0.0.0/33" }] }, '"routes[0].dst"'],
    [{ routes: [{ dst: "10.0.0.0/8", mtu: 1.5 }] }, '"routes[0].mtu"'],
    [{ interfaces: {} }, '"interfaces"'],
    [{ dns: { search: "a" } }, '"dns.search"'],
  ];
  for (const [json, place] of wrong) expect(() => decodeResult(new Decoder(json), "1.0.0")).toThrow(place);
});

test("decodeDns() takes settings that say nothing for none", () => {
  expect(decodeDns(new Decoder(undefined))).toBeUndefined();
  expect(decodeDns(new Decoder({}))).toBeUndefined();
  expect(decodeDns(new Decoder({ nameservers: [], domain: "" }))).toBeUndefined();
  expect(decodeDns(new Decoder({ options: ["ndots:1"] }))?.options).toEqual(["ndots:1"]);
});
