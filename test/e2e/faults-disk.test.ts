import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";

import { createFaultHost, findErrorText } from "../faults/host.ts";
import type { FaultHost, Outcome } from "../faults/host.ts";
import { report } from "../faults/lanes.ts";
import { problemsOfDelete, problemsOfNextPod } from "../faults/runs.ts";
import { describeWith } from "../helpers/require.ts";

/** Runs the plugin where a directory is something else, and then writes the files below it into a list. */
const isolated = ["unshare", "--mount", "--propagation", "private", "sh", "-c"];
const readOnly = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"';
await describeWith(
  ["root", "executable", "tool:unshare", "link:veth", "link:bridge"],
  "a disk that takes nothing",
  () => {
    for (const directory of ["networksDirectory", "flannelDirectory"] as const) {
      test(`${directory} read-only: ADD answers with an error and leaves nothing, DEL succeeds later`, async () => {
        await using host = await createFaultHost();
        await host.learnWholePod();
        const refused = await callOn(host, "ADD", host.host[directory], readOnly);
        expect(refused.exitCode).toBe(1);
        expect(findErrorText(refused.stdout)).toContain("read-only file system (EROFS)");
        expect(await host.strays()).toEqual([]);
        expect(await host.call("ADD")).toMatchObject({ exitCode: 0 });
        const kept = await callOn(host, "DEL", host.host[directory], readOnly);
        expect(kept.exitCode).toBe(1);
        expect(findErrorText(kept.stdout)).toContain("read-only file system (EROFS)");
        // What can be removed is, all the same.
        expect((await host.strays()).filter((line) => line.startsWith("device"))).toEqual([]);
        expect(await problemsOfDelete(host)).toEqual([]);
        expect(await problemsOfNextPod(host, true)).toEqual([]);
      });

      // The first block is taken by a file of somebody else's, the first inode by the directory itself.
      for (const [limit, fill] of [
        ["nr_inodes", "true"],
        ["nr_blocks", 'echo >"$0/filler"'],
      ] as const) {
        test(`${directory} full, ${limit}: ADD succeeds or answers with an error and leaves nothing`, async () => {
          await using host = await createFaultHost();
          await host.learnWholePod();
          let refusals = 0;
          for (let free = 1; free <= 8; free++) {
            const mount = `mount -t tmpfs -o ${limit}=${free} tmpfs "$0" && ${fill}`;
            const outcome = await callOn(host, "ADD", host.host[directory], mount);
            if (outcome.exitCode === 0) break;
            refusals++;
            expect(findErrorText(outcome.stdout)).toContain("no space left on device (ENOSPC)");
            expect(outcome.files).toBe("");
            expect(await host.strays()).toEqual([]);
          }
          report(`${directory} full, ${limit}: ${refusals} refusals`);
          expect(refusals).toBeGreaterThan(0);
          expect(refusals).toBeLessThan(8);
          expect(await problemsOfDelete(host)).toEqual([]);
          expect(await problemsOfNextPod(host, true)).toEqual([]);
        });
      }
    }
  },
);

/** A call where a mount, in a mount namespace of its own, has changed the directory; `files` is what it left there. */
async function callOn(
  host: FaultHost,
  command: "ADD" | "DEL",
  directory: string,
  mount: string,
): Promise<Outcome & { readonly files: string }> {
  const list = host.host.directory.join("list");
  const outcome = await host.call(command, { wrapper: [...isolated, scriptOf(mount), directory, list] });
  return { ...outcome, files: await readFile(list, "utf8") };
}

/** $0 is the directory, $1 where the list goes, and the rest the plugin. */
function scriptOf(mount: string): string {
  const find = "find \"$0\" -type f ! -name filler ! -name lock ! -name 'last_reserved_ip.*'";
  return `list=$1; shift; ${mount} || exit 99; "$@"; code=$?; ${find} >"$list"; exit $code`;
}
