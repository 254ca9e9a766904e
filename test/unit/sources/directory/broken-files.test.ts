import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { mkdir, open, symlink } from "node:fs/promises";

import { runCommand } from "../../../helpers/command.ts";
import { createDirectoryStore } from "../../../helpers/directory-store.ts";
import { describeState, hasLeases, leaseText, startSource, usualConfig } from "../../../helpers/lease-store.ts";
import { waitUntil } from "../../../helpers/wait-until.ts";

test("state() passes over files whose name begins with a dot, without a word", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease(".10.244.1.0-24.tartan-1", "half");
  const lines: string[] = [];
  using source = await startSource(store.open((line) => lines.push(line)));
  await store.writeLease(".10.244.2.0-24.swp", "half");
  await store.writeLease("10.244.3.0-24", leaseText("3.3.3.3"));
  await hasLeases(source, "10.244.3.0-24 3.3.3.3");
  expect(lines).toEqual([]);
});

test("a broken file is reported once with its path, and again when it is broken in another way", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.1.0-24", "{}");
  const lines: string[] = [];
  using source = await startSource(store.open((line) => lines.push(line)));
  await store.writeLease("10.244.1.0-24", "{}");
  await store.writeConfig(`${usualConfig}\n`);
  await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
  await hasLeases(source, "10.244.2.0-24 2.2.2.2");
  await store.writeLease("10.244.1.0-24", '{"PublicIP":1}');
  await waitUntil("it is reported again", () => lines.length > 1);
  await store.removeLease("10.244.1.0-24");
  await waitUntil("the source has seen it go", async () => {
    await store.writeLease("10.244.1.0-24", '{"PublicIP":1}');
    await Bun.sleep(30);
    await store.removeLease("10.244.1.0-24");
    await Bun.sleep(30);
    return lines.length > 2;
  });
  const what = `Cannot use lease file "${store.pathOf("10.244.1.0-24")}", it is skipped: Cannot read "PublicIP": `;
  expect(lines).toEqual([
    `${what}it must be the node's IPv4 address, and is absent`,
    `${what}it must be a string, and is the number 1`,
    `${what}it must be a string, and is the number 1`,
  ]);
});

test("a link to nothing is reported by name and holds up nothing, also when it was there before the start", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
  await symlink("nowhere", store.pathOf("10.244.1.0-24"));
  await symlink("nowhere", store.pathOf("10.244.3.0-24"));
  const lines: string[] = [];
  using source = await startSource(store.open((line) => lines.push(line)));
  await hasLeases(source, "10.244.2.0-24 2.2.2.2");
  expect(lines.toSorted()).toEqual(
    ["10.244.1.0-24", "10.244.3.0-24"].map(
      (key) => `Cannot use lease file "${store.pathOf(key)}", it is skipped: it leads to no file`,
    ),
  );
});

test("a directory in the place of a lease, and a name that is no key, are reported and nothing else is affected", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("README", "leases of the test cluster");
  await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
  await mkdir(store.pathOf("10.244.1.0-24"));
  const lines: string[] = [];
  using source = await startSource(store.open((line) => lines.push(line)));
  await hasLeases(source, "10.244.2.0-24 2.2.2.2");
  const [directory = "", readme = "", ...more] = lines.toSorted();
  expect(directory).toContain("is a directory (EISDIR)");
  expect(readme).toContain(`"${store.pathOf("README")}", it is skipped: Cannot read lease key "README"`);
  expect(more).toEqual([]);
});

test("a file without end is reported and nothing else is affected, and neither is a FIFO that nobody writes", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
  await symlink("/dev/zero", store.pathOf("10.244.1.0-24"));
  await runCommand(["mkfifo", store.pathOf("10.244.3.0-24")]);
  const lines: string[] = [];
  using source = await startSource(store.open((line) => lines.push(line)));
  await hasLeases(source, "10.244.2.0-24 2.2.2.2");
  const [endless = "", fifo = "", ...more] = lines.toSorted();
  expect(endless).toContain("file too large (EFBIG)");
  expect(fifo).toContain(`"${store.pathOf("10.244.3.0-24")}", it is skipped`);
  expect(more).toEqual([]);
});

test("a file that is written slowly in place is taken when it is complete", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  const lines: string[] = [];
  using source = await startSource(store.open((line) => lines.push(line)));
  const text = leaseText("1.1.1.1");
  await using file = await open(store.pathOf("10.244.1.0-24"), "w");
  await file.write(text.slice(0, 20));
  await waitUntil("the half is reported", () => lines.length > 0);
  expect(describeState(source.state())).toEqual([]);
  await file.write(text.slice(20));
  await file.close();
  await hasLeases(source, "10.244.1.0-24 1.1.1.1");
  expect(lines).toHaveLength(1);
});

test("a file that is written quickly in place is read once, when it is complete", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  const lines: string[] = [];
  using source = await startSource(store.open((line) => lines.push(line)));
  for (let number = 1; number <= 50; number++) {
    // At once: on a busy machine any number of milliseconds may lie between two steps of an asynchronous write.
    writeFileSync(store.pathOf(`10.244.${number}.0-24`), leaseText("1.1.1.1"));
    await Bun.sleep(0);
  }
  await waitUntil("all are known", () => describeState(source.state()).length === 50);
  expect(lines).toEqual([]);
});
