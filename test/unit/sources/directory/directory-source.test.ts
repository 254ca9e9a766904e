import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";

import { errorText } from "../../../../src/base/error.ts";
import { parseNetworkConfig } from "../../../../src/lease/network-config.ts";
import { DirectoryLeaseSource } from "../../../../src/sources/directory/directory-source.ts";
import { createDirectoryStore } from "../../../helpers/directory-store.ts";
import {
  configOf,
  describeState,
  hasLeases,
  ignore,
  leaseIn,
  leaseText,
  requestOf,
  staleReason,
  startSource,
  usualConfig,
} from "../../../helpers/lease-store.ts";
import { rejection } from "../../../helpers/rejection.ts";
import { waitUntil } from "../../../helpers/wait-until.ts";

test("start() names the missing configuration, and makes nothing", async () => {
  await using store = await createDirectoryStore();
  using source = store.open();
  source.start(ignore);
  expect(source.state()).toEqual({
    kind: "unknown",
    reason: `flannel config not found: no file "${store.path}/config"`,
  });
  expect(await readdir(store.temporary.path)).toEqual([]);
});

test("start() names what is wrong with the configuration, and does not report it as well", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig('{"Network":"10.244.0.0/29"}');
  const lines: string[] = [];
  using source = store.open((line) => lines.push(line));
  source.start(ignore);
  expect(source.state()).toEqual({
    kind: "unknown",
    reason:
      `Cannot use the flannel config "${store.path}/config": Cannot read "Network": ` +
      "network is too small. Minimum useful network prefix is /28",
  });
  expect(lines).toEqual([]);
  expect(await readdir(store.path)).toEqual(["config"]);
});

test("start() makes the directory of leases beside a configuration, with mode 0755 whatever the umask", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  const umask = process.umask(0o077);
  try {
    using source = store.open();
    source.start(ignore);
    expect(source.state()).toMatchObject({ kind: "known", stale: undefined });
    await source.acquire(configOf(source), requestOf("1.1.1.1", "10.244.7.0/24"));
  } finally {
    process.umask(umask);
  }
  expect((await stat(`${store.path}/subnets`)).mode & 0o777).toBe(0o755);
  expect((await stat(store.pathOf("10.244.7.0-24"))).mode & 0o777).toBe(0o644);
  expect(await readdir(`${store.path}/subnets`)).toEqual(["10.244.7.0-24"]);
});

test("start() waits for leases that are away on a node that has had one, and says what to do", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  using source = new DirectoryLeaseSource(store.path, ignore, () => false);
  source.start(ignore);
  expect(source.state()).toEqual({
    kind: "unknown",
    reason:
      `no directory "${store.path}/subnets"; this node has had a lease before, so its leases may only be away (moved, or ` +
      "not mounted): bring them back, or make that directory, empty, where there are none any more",
  });
  expect(await readdir(store.path)).toEqual(["config"]);
  await mkdir(`${store.path}/subnets`);
  await waitUntil("it is known", () => source.state().kind === "known");
});

test("state() is the same object until something changes, and unchanged leases stay the same", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  using source = store.open();
  let calls = 0;
  source.start(() => calls++);
  await Bun.sleep(0);
  const before = source.state();
  const lease = leaseIn(source, "10.244.1.0-24");
  calls = 0;
  await store.writeLease("10.244.1.0-24", `${leaseText("1.1.1.1")}\n\n`);
  await store.writeConfig(usualConfig);
  await writeFile(`${store.path}/notes`, "of no interest");
  await Bun.sleep(60);
  expect(source.state()).toBe(before);
  expect(calls).toBe(0);
  await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1", "10.244.2.0-24 2.2.2.2");
  expect(leaseIn(source, "10.244.1.0-24")).toBe(lease);
  expect(calls).toBe(1);
});

test("a configuration that goes away keeps the last one and is named as stale, while leases are followed", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  using source = await startSource(store.open());
  await rm(`${store.path}/config`);
  await waitUntil("it is stale", () => staleReason(source) !== undefined);
  expect(staleReason(source)).toBe(`flannel config not found: no file "${store.path}/config"`);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1");
  await store.writeConfig(usualConfig);
  await waitUntil("it is fresh", () => staleReason(source) === undefined);
});

test("a file in the place of the directory of leases is named, and followed by the directory when it goes", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await writeFile(`${store.path}/subnets`, "a file");
  using source = store.open();
  source.start(ignore);
  expect(describeState(source.state()).join()).toContain("not a directory (ENOTDIR)");
  expect(errorText(await rejection(source.acquire(configOfText(), requestOf("1.1.1.1"))))).toBe(
    `Cannot take a lease from ${source.name}: Cannot list ${store.path}/subnets: not a directory (ENOTDIR)`,
  );
  await rm(`${store.path}/subnets`);
  await hasLeases(source);
  expect(source.state().kind).toBe("known");
});

test("what the system refused is tried again after a while, when no event can tell", async () => {
  await using store = await createDirectoryStore();
  const elsewhere = store.temporary.join("elsewhere");
  await mkdir(elsewhere);
  await mkdir(store.path, { recursive: true });
  await symlink(elsewhere, `${store.path}/config`);
  using source = store.open();
  source.start(ignore);
  expect(describeState(source.state()).join()).toContain("is a directory (EISDIR)");
  await rm(elsewhere, { recursive: true });
  await writeFile(elsewhere, usualConfig);
  await Bun.sleep(100);
  expect(source.state().kind).toBe("unknown");
  await hasLeases(source);
  expect(source.state().kind).toBe("known");
});

test("a missing configuration is looked for again where no event tells of it, as with a mount", async () => {
  await using store = await createDirectoryStore();
  const { temporary } = store;
  await mkdir(temporary.join("before/lib/leases"), { recursive: true });
  await symlink("before", temporary.join("var"));
  using source = store.open();
  source.start(ignore);
  expect(source.state()).toMatchObject({ kind: "unknown" });
  await temporary.write("after/lib/leases/config", usualConfig);
  await temporary.write("after/lib/leases/subnets/10.244.1.0-24", leaseText("1.1.1.1"));
  await symlink("after", temporary.join("next"));
  await rename(temporary.join("next"), temporary.join("var"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1");
  // And from then on without another look.
  await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1", "10.244.2.0-24 2.2.2.2");
});

test("acquire() works before start(), and the path may be relative", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  const relative = `${"../".repeat(process.cwd().split("/").length)}${store.path.slice(1)}`;
  using source = new DirectoryLeaseSource(relative, ignore);
  const lease = await source.acquire(configOfText(), requestOf("1.1.1.1", "10.244.7.0/24"));
  expect(lease.key).toBe("10.244.7.0-24");
  expect(await store.keys()).toEqual(["10.244.7.0-24"]);
  expect(source.name).toBe(`directory "${relative}"`);
});

test("acquire() removes its own lease that does not fit, and only that", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.245.1.0-24", leaseText("1.1.1.1"));
  await store.writeLease("10.245.2.0-24", leaseText("2.2.2.2"));
  using source = await startSource(store.open());
  const lease = await source.acquire(configOf(source), requestOf("1.1.1.1", "10.244.3.0/24"));
  expect(lease.key).toBe("10.244.3.0-24");
  expect(await store.keys()).toEqual(["10.244.3.0-24", "10.245.2.0-24"]);
});

test("acquire() rejects with the reason when nothing can be written", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  // A directory that root may list, and in which the kernel lets nobody make a file.
  await symlink("/sys/kernel", `${store.path}/subnets`);
  using source = await startSource(store.open());
  const error = await rejection(source.acquire(configOf(source), requestOf("1.1.1.1", "10.244.7.0/24")));
  expect(errorText(error)).toStartWith(
    `Cannot take a lease from ${source.name}: Cannot make a temporary file for ${store.path}/subnets/10.244.7.0-24: `,
  );
  expect(errorText(error)).toEndWith(": permission denied (EACCES)");
});

test("publish() puts a file right that somebody broke", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  using source = await startSource(store.open());
  const lease = await source.acquire(configOf(source), requestOf("1.1.1.1"));
  await store.writeLease(lease.key, "");
  await source.publish(lease, requestOf("1.1.1.1").attributes);
  expect(await store.readLease(lease.key)).toBe(leaseText("1.1.1.1"));
});

test("disposing ends the watch, closes its descriptor and leaves the lease", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  const before = descriptorCount();
  let calls = 0;
  {
    using source = store.open();
    source.start(() => calls++);
    await source.acquire(configOf(source), requestOf("1.1.1.1"));
    expect(descriptorCount()).toBe(before + 1);
  }
  calls = 0;
  expect(descriptorCount()).toBe(before);
  await store.writeLease("10.244.200.0-24", leaseText("2.2.2.2"));
  await Bun.sleep(40);
  expect(calls).toBe(0);
  expect(await store.keys()).toHaveLength(2);
});

function configOfText(): ReturnType<typeof configOf> {
  return parseNetworkConfig(usualConfig);
}

function descriptorCount(): number {
  return readdirSync("/proc/self/fd").length;
}
