import { expect, test } from "bun:test";

import { type BackgroundProcess, startProcess } from "../helpers/background.ts";
import { createCniHost } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

/** One process that holds the lock for some seconds, or until it is stopped. */
function startHolder(lock: string, seconds: number): BackgroundProcess {
  const script = 'exec 9<"$1"; flock 9; echo locked; exec sleep "$2"';
  return startProcess(["sh", "-c", script, "sh", lock, String(seconds)]);
}

await describeWith(["root", "executable", "link:veth", "link:bridge", "tool:flock"], "the lock of host-local", () => {
  test("held for a moment it is waited for; held too long, ADD and DEL say to try again later, and leave nothing", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.flannelConfig();
    const [first, second] = [await host.addPod(), await host.addPod()];
    await host.add(config, { pod: first });
    const lock = `${host.networksDirectory}/cbr0/lock`;
    await using holder = startHolder(lock, 60);
    await holder.waitUntil("it has the lock", () => holder.stdout.includes("locked"));
    const before = await host.leftovers();
    const [added, deleted] = await Promise.all([
      host.call("ADD", config, { pod: second }),
      host.call("DEL", config, { pod: first }),
    ]);
    const told = `11 Cannot lock ${lock}: another process has held it for 10 s`;
    expect([outcome(added), outcome(deleted)]).toEqual([told, told]);
    const after = await host.leftovers();
    // DEL frees what it can: the link.
    expect(after).toEqual(before.filter((line) => !line.startsWith("link veth")));
    await holder.stop();
    await using brief = startHolder(lock, 0.3);
    await brief.waitUntil("it has the lock", () => brief.stdout.includes("locked"));
    await host.add(config, { pod: second });
    await host.delete(config, { pod: first });
    await host.delete(config, { pod: second });
    expect((await host.leftovers()).filter((line) => /veth|cbr0\/10\.|file flannel/.test(line))).toEqual([]);
  });
});
