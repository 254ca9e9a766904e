import { expect, test } from "bun:test";
import { mkdir, readdir, stat } from "node:fs/promises";

import { formatCidr, parseCidr } from "../../../src/addr/cidr.ts";
import type { Family } from "../../../src/addr/ip.ts";
import {
  formatSubnetFile,
  parsePreviousSubnets,
  readPreviousSubnets,
  type SubnetFile,
  writeSubnetFile,
} from "../../../src/lease/subnet-file.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

const ipv4: SubnetFile = {
  networks: { 4: parseCidr("10.244.0.0/16"), 6: undefined },
  subnets: { 4: parseCidr("10.244.1.0/24"), 6: undefined },
  mtu: 1450,
  ipMasq: false,
};

const ipv4Text = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=false
`;

test("formatSubnetFile() writes upstream's lines for IPv4", () => {
  expect(formatSubnetFile(ipv4)).toBe(ipv4Text);
});

test("formatSubnetFile() writes upstream's lines for both families, and for IPv6 alone", () => {
  const networks = { 4: parseCidr("10.244.0.0/16"), 6: parseCidr("fd00::/48") };
  const subnets = { 4: parseCidr("10.244.1.0/24"), 6: parseCidr("fd00:0:0:1::/64") };
  expect(formatSubnetFile({ networks, subnets, mtu: 1430, ipMasq: true })).toBe(`FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_IPV6_NETWORK=fd00::/48
FLANNEL_IPV6_SUBNET=fd00:0:0:1::1/64
FLANNEL_MTU=1430
FLANNEL_IPMASQ=true
`);
  const alone: SubnetFile = { networks: { ...networks, 4: undefined }, subnets, mtu: 1430, ipMasq: true };
  expect(formatSubnetFile(alone).split("\n")[0]).toBe("FLANNEL_IPV6_NETWORK=fd00::/48");
});

test("writeSubnetFile() makes file and directories with upstream's modes, whatever the umask", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("run/flannel/subnet.env");
  const umask = process.umask(0o077);
  try {
    writeSubnetFile(path, ipv4);
  } finally {
    process.umask(umask);
  }
  expect(await Bun.file(path).text()).toBe(ipv4Text);
  expect((await stat(path)).mode & 0o777).toBe(0o644);
  expect((await stat(directory.join("run/flannel"))).mode & 0o777).toBe(0o755);
  expect((await stat(directory.join("run"))).mode & 0o777).toBe(0o755);
});

test("writeSubnetFile() replaces a file as a whole and leaves nothing beside it", async () => {
  await using directory = await createTemporaryDirectory();
  const path = await directory.write("subnet.env", "FLANNEL_NETWORK=10.0.0.0/8\nOLD=1\n", 0o600);
  const before = await stat(path);
  writeSubnetFile(path, ipv4);
  expect(await Bun.file(path).text()).toBe(ipv4Text);
  expect((await stat(path)).mode & 0o777).toBe(0o644);
  expect((await stat(path)).ino).not.toBe(before.ino);
  expect(await readdir(directory.path)).toEqual(["subnet.env"]);
});

test("writeSubnetFile() takes a name without a directory as one in the working directory, and makes nothing else", async () => {
  await using directory = await createTemporaryDirectory();
  const before = process.cwd();
  process.chdir(directory.path);
  try {
    writeSubnetFile("subnet.env", ipv4);
  } finally {
    process.chdir(before);
  }
  expect(await readdir(directory.path)).toEqual(["subnet.env"]);
});

test("writeSubnetFile() says why the file cannot be written", async () => {
  await using directory = await createTemporaryDirectory();
  await directory.write("file", "");
  expect(() => writeSubnetFile(directory.join("file/subnet.env"), ipv4)).toThrow("not a directory (ENOTDIR)");
});

test("readPreviousSubnets() reads back what writeSubnetFile() wrote", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("subnet.env");
  writeSubnetFile(path, {
    ...ipv4,
    networks: { 4: parseCidr("10.244.0.0/16"), 6: parseCidr("fd00::/48") },
    subnets: { 4: parseCidr("10.244.1.0/24"), 6: parseCidr("fd00:0:0:1::/64") },
  });
  const previous = readPreviousSubnets(path);
  expect(previous[4] && formatCidr(previous[4])).toBe("10.244.1.0/24");
  expect(previous[6] && formatCidr(previous[6])).toBe("fd00:0:0:1::/64");
});

test("readPreviousSubnets() finds none without a file, and throws when there is something that is no file", async () => {
  await using directory = await createTemporaryDirectory();
  expect(readPreviousSubnets(directory.join("subnet.env"))).toEqual({ 4: undefined, 6: undefined });
  await mkdir(directory.join("subnet.env"));
  expect(() => readPreviousSubnets(directory.join("subnet.env"))).toThrow("is a directory (EISDIR)");
});

const ipv4Lines: readonly (readonly [string, string | undefined])[] = [
  ["FLANNEL_SUBNET=10.244.1.1/24", "10.244.1.0/24"],
  ['FLANNEL_SUBNET="10.244.1.1/24"', "10.244.1.0/24"],
  ["FLANNEL_SUBNET='10.244.1.1/24' # mine", "10.244.1.0/24"],
  ["export FLANNEL_SUBNET = 10.244.1.1/24   # mine", "10.244.1.0/24"],
  ["FLANNEL_SUBNET: 10.244.1.1/24", "10.244.1.0/24"],
  ["FLANNEL_SUBNET=10.9.9.1/24\r\nFLANNEL_SUBNET=10.244.1.1/24\r\n", "10.244.1.0/24"],
  ["FLANNEL_SUBNET=10.244.1.1/33,10.244.1.1/24", "10.244.1.0/24"],
  ["FLANNEL_SUBNET=nonsense, 10.244.1.1/24", "10.244.1.0/24"],
  ["FLANNEL_SUBNET=fd00::1/64,10.244.1.1/24", "10.244.1.0/24"],
  ["FLANNEL_SUBNET=10.244.1.1/24,10.244.2.1/24", undefined],
  ["FLANNEL_SUBNET=10.244.1.1/33", undefined],
  ["FLANNEL_SUBNET=fd00::1/64", undefined],
  ["FLANNEL_SUBNET=", undefined],
  ["FLANNEL_SUBNET", undefined],
  ["# FLANNEL_SUBNET=10.244.1.1/24", undefined],
  ["FLANNEL_NETWORK=10.244.0.0/16", undefined],
  ["", undefined],
];

test.each(ipv4Lines)("parsePreviousSubnets() reads the IPv4 subnet of %p", (text, wanted) => {
  expect(previousOf(text, 4)).toBe(wanted);
});

const ipv6Lines: readonly (readonly [string, string | undefined])[] = [
  ["FLANNEL_IPV6_SUBNET=fd00:0:0:1::1/64", "fd00:0:0:1::/64"],
  ["FLANNEL_IPV6_SUBNET=fd00:0:0:1::1/129,fd00:0:0:1::1/64", "fd00:0:0:1::/64"],
  ["FLANNEL_IPV6_SUBNET=fd00:0:0:1::1/129", undefined],
  ["FLANNEL_IPV6_SUBNET=10.244.1.1/24", undefined],
  ["FLANNEL_IPV6_SUBNET=fd00:0:0:1::1/64,fd00:0:0:2::1/64", undefined],
];

test.each(ipv6Lines)("parsePreviousSubnets() reads the IPv6 subnet of %p", (text, wanted) => {
  expect(previousOf(text, 6)).toBe(wanted);
});

function previousOf(text: string, family: Family): string | undefined {
  const subnet = parsePreviousSubnets(text)[family];
  return subnet === undefined ? undefined : formatCidr(subnet);
}
