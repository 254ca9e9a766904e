import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { startProcess } from "../../../helpers/background.ts";
import { createDirectoryStore } from "../../../helpers/directory-store.ts";
import {
  describeState,
  hasLeases,
  ignore,
  leaseText,
  requestOf,
  staleReason,
  startSource,
  usualConfig,
  configOf,
} from "../../../helpers/lease-store.ts";
import { errorText } from "../../../../src/base/error.ts";
import { inotify } from "../../../../src/sys/watch.ts";
import { rejection } from "../../../helpers/rejection.ts";
import { waitUntil } from "../../../helpers/wait-until.ts";

test("a directory that appears level by level is found", async () => {
  await using store = await createDirectoryStore();
  using source = store.open();
  source.start(ignore);
  for (const name of ["var", "var/lib", "var/lib/leases"]) {
    await mkdir(store.temporary.join(name));
    await Bun.sleep(25);
  }
  await writeFile(`${store.path}/config`, usualConfig);
  await hasLeases(source);
  expect((await stat(`${store.path}/subnets`)).isDirectory()).toBe(true);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1");
});

test("a directory that appears with all levels at once is found", async () => {
  await using store = await createDirectoryStore();
  using source = store.open();
  source.start(ignore);
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1");
});

test("a directory that appears by a rename far above it is found", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  await rename(store.temporary.join("var"), store.temporary.join("elsewhere"));
  using source = store.open();
  source.start(ignore);
  expect(source.state().kind).toBe("unknown");
  await rename(store.temporary.join("elsewhere"), store.temporary.join("var"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1");
});

test.each(["var", "var/lib", "var/lib/leases", "var/lib/leases/subnets"])(
  "%s moved away keeps the leases, and what is done to them there is not heard",
  async (name) => {
    await using store = await createDirectoryStore();
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
    await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
    using source = await startSource(store.open());
    const away = store.temporary.join("away");
    await rename(store.temporary.join(name), away);
    await rm(`${away}${store.pathOf("10.244.1.0-24").slice(store.temporary.join(name).length)}`);
    await waitUntil("it is stale", () => staleReason(source) !== undefined);
    await Bun.sleep(40);
    expect(staleReason(source)).toContain(`no directory "${store.path}/subnets"`);
    expect(describeState(source.state())).toHaveLength(2);
    // An empty directory in its place would make the network look empty to every node.
    expect(await rejection(stat(`${store.path}/subnets`))).toMatchObject({ code: "ENOENT" });
    await rename(away, store.temporary.join(name));
    await hasLeases(source, "10.244.2.0-24 2.2.2.2");
    expect(staleReason(source)).toBeUndefined();
  },
);

test("acquire() does not make a directory of leases in the place of one that was moved away", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
  using source = await startSource(store.open());
  await rename(`${store.path}/subnets`, `${store.path}/away`);
  const error = await rejection(source.acquire(configOf(source), requestOf("1.1.1.1")));
  expect(errorText(error)).toBe(`Cannot take a lease from ${source.name}: no directory "${store.path}/subnets"`);
  expect(readdirSync(store.path).toSorted()).toEqual(["away", "config"]);
});

test("leases removed together with their directory are gone, and the directory is made again", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  for (let number = 1; number <= 40; number++) await store.writeLease(`10.244.${number}.0-24`, leaseText("1.1.1.1"));
  using source = await startSource(store.open());
  expect(describeState(source.state())).toHaveLength(40);
  await rm(`${store.path}/subnets`, { recursive: true });
  await hasLeases(source);
  await waitUntil("it is fresh", () => staleReason(source) === undefined);
  expect(readdirSync(store.path).toSorted()).toEqual(["config", "subnets"]);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1");
});

test("a directory put in the place of another is read instead", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  using source = await startSource(store.open());
  const other = store.temporary.join("other");
  await mkdir(`${other}/subnets`, { recursive: true });
  await writeFile(`${other}/config`, '{"Network":"10.9.0.0/16"}');
  await writeFile(`${other}/subnets/10.9.5.0-24`, leaseText("5.5.5.5"));
  await store.hide();
  await rename(other, store.path);
  await hasLeases(source, "10.9.5.0-24 5.5.5.5");
  await store.writeLease("10.9.6.0-24", leaseText("6.6.6.6"));
  await hasLeases(source, "10.9.5.0-24 5.5.5.5", "10.9.6.0-24 6.6.6.6");
});

test("a directory that is removed while a process stands in it is found when it is made again", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  using source = await startSource(store.open());
  // It keeps the directory's inode, so that the kernel does not tell the watch of the end of it.
  await using standing = startProcess(["sleep", "60"], { cwd: store.path });
  await rm(store.path, { recursive: true });
  await waitUntil("it is stale", () => staleReason(source) !== undefined);
  expect(readlinkSync(`/proc/${standing.pid}/cwd`)).toEndWith("(deleted)");
  await Bun.sleep(30);
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
  await hasLeases(source, "10.244.2.0-24 2.2.2.2");
});

test("directories above are watched for nothing but their own removal and renaming", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  using source = await startSource(store.open());
  const masks = await watchMasks();
  const self = inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF;
  let above = dirname(store.path);
  for (;;) {
    expect([above, masks.get((await stat(above)).ino)]).toEqual([above, self]);
    if (above === "/") break;
    above = dirname(above);
  }
  expect((masks.get((await stat(store.path)).ino) ?? 0) & inotify.IN_MOVED_TO).not.toBe(0);
  expect((masks.get((await stat(`${store.path}/subnets`)).ino) ?? 0) & inotify.IN_CREATE).not.toBe(0);
  await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
  await hasLeases(source, "10.244.1.0-24 1.1.1.1");
});

/** The event masks of this process's inotify watches by inode number, as the kernel shows them. */
async function watchMasks(): Promise<ReadonlyMap<number, number>> {
  const masks = new Map<number, number>();
  for (const name of readdirSync("/proc/self/fdinfo")) {
    const info = await Bun.file(`/proc/self/fdinfo/${name}`)
      .text()
      .catch(() => "");
    for (const [, inode = "", mask = ""] of info.matchAll(/^inotify wd:\S+ ino:([\da-f]+) \S+ mask:([\da-f]+)/gm)) {
      masks.set(Number.parseInt(inode, 16), Number.parseInt(mask, 16));
    }
  }
  return masks;
}
