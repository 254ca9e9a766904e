import { expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { createFaultHost, findResultAddress } from "../faults/host.ts";
import type { FaultHost } from "../faults/host.ts";
import type { TestPod } from "../helpers/cni-host.ts";
import { describeWith } from "../helpers/require.ts";

/** Shows the plugin another boot's id, in a mount namespace of its own: its file in the kernel cannot be written. */
const otherBoot = ["unshare", "--mount", "--propagation", "private", "sh", "-c"];
const otherBootScript = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';

/** A machine that is started again and again, as far as the plugins can see. */
class Machine {
  readonly #host: FaultHost;
  #bootIdFile = "";

  constructor(host: FaultHost) {
    this.#host = host;
  }

  /** Starts the machine anew; without an id, its kernel has none. */
  async boot(id: string = crypto.randomUUID()): Promise<void> {
    this.#bootIdFile = await this.#host.host.directory.write(`boot-${crypto.randomUUID()}`, `${id}\n`);
  }

  async add(pod: TestPod): Promise<string> {
    const { stdout, stderr } = await this.#host.call("ADD", { pod, wrapper: this.#wrapper() });
    return findResultAddress(stdout) ?? `${stdout}${stderr}`;
  }

  async delete(pod: TestPod): Promise<void> {
    const { exitCode, stdout } = await this.#host.call("DEL", { pod, netns: "", wrapper: this.#wrapper() });
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
  }

  /** What the reference leaves: no mark, an ordinary time. */
  async addByReference(address: string): Promise<void> {
    await writeFile(join(this.#network, address), `${address.replaceAll(".", "-")}\r\neth0`);
  }

  async reserved(): Promise<readonly string[]> {
    const names = await readdir(this.#network);
    return names.filter((name) => /^\d/.test(name)).toSorted();
  }

  get #network(): string {
    return join(this.#host.host.networksDirectory, "cbr0");
  }

  #wrapper(): readonly string[] {
    return [...otherBoot, otherBootScript, this.#bootIdFile];
  }
}

await describeWith(["root", "executable", "tool:unshare", "link:veth", "link:bridge"], "after a reboot", () => {
  test("the first ADD frees the addresses of pods that no longer exist, and later ones those of no living pod", async () => {
    await using host = await createFaultHost();
    const machine = new Machine(host);
    const pods = await addPods(host, 5);
    await machine.boot();
    for (const pod of pods.slice(0, 3)) await machine.add(pod);
    expect(await machine.reserved()).toEqual(["10.244.1.2", "10.244.1.3", "10.244.1.4"]);
    for (const pod of pods.slice(0, 3)) await pod.netns.remove();
    await machine.boot();
    expect(await machine.add(pods[3] ?? host.pod)).toBe("10.244.1.5/24");
    expect(await machine.reserved()).toEqual(["10.244.1.5"]);
    expect(await machine.add(pods[4] ?? host.pod)).toBe("10.244.1.6/24");
    await machine.delete(pods[0] ?? host.pod);
    expect(await machine.reserved()).toEqual(["10.244.1.5", "10.244.1.6"]);
    for (const pod of pods) await machine.delete(pod);
    expect(await host.strays(pods.slice(3))).toEqual([]);
  });

  test("DEL frees them as well, and its own pod's", async () => {
    await using host = await createFaultHost();
    const machine = new Machine(host);
    const [first = host.pod, second = host.pod] = await addPods(host, 2);
    await machine.boot();
    await machine.add(first);
    await machine.add(second);
    await machine.boot();
    await machine.delete(first);
    expect(await machine.reserved()).toEqual([]);
    await machine.delete(second);
    expect(await host.strays([first, second])).toEqual([]);
  });

  test("an address that the reference reserved is freed only when it was there in an earlier boot for certain", async () => {
    await using host = await createFaultHost();
    const machine = new Machine(host);
    const [first = host.pod, second = host.pod, third = host.pod] = await addPods(host, 3);
    await machine.boot();
    await machine.add(first);
    await machine.addByReference("10.244.1.70");
    await machine.boot();
    await machine.addByReference("10.244.1.80");
    // Both may be pods of this boot, added while the reference was in place; only what ours made is known to be older.
    await machine.add(second);
    expect(await machine.reserved()).toEqual(["10.244.1.3", "10.244.1.70", "10.244.1.80"]);
    await machine.addByReference("10.244.1.90");
    await machine.boot();
    await machine.add(third);
    expect(await machine.reserved()).toEqual(["10.244.1.4", "10.244.1.90"]);
  });

  test("nothing is freed where the kernel does not tell the boot", async () => {
    await using host = await createFaultHost();
    const machine = new Machine(host);
    const [first = host.pod, second = host.pod, third = host.pod] = await addPods(host, 3);
    await machine.boot();
    await machine.add(first);
    await machine.boot("");
    await machine.add(second);
    expect(await machine.reserved()).toEqual(["10.244.1.2", "10.244.1.3"]);
    await machine.boot();
    await machine.add(third);
    expect(await machine.reserved()).toEqual(["10.244.1.3", "10.244.1.4"]);
  });
});

function addPods(host: FaultHost, count: number): Promise<readonly TestPod[]> {
  return Promise.all(Array.from({ length: count }, () => host.host.addPod()));
}
