import { describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { Decoder, type Json, type JsonObject } from "../../src/base/decode.ts";
import { builtInPlugins } from "../../src/plugins/main.ts";
import { runCommand } from "../helpers/command.ts";
import { errorLine, type PluginRun, printed, runPluginHere } from "../helpers/plugin-process.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../helpers/temp.ts";

/** A network "net" whose addresses are kept in a directory of the test's own. */
class Network {
  readonly #directory: TemporaryDirectory;
  readonly #ipam: JsonObject;

  constructor(directory: TemporaryDirectory, ipam: JsonObject) {
    this.#directory = directory;
    this.#ipam = ipam;
  }

  get path(): string {
    return this.#directory.join("networks", "net");
  }

  call(command: string, containerId: string, members: JsonObject = {}, ifname = "eth0"): PluginRun {
    const environment = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: "/nonexistent",
      CNI_IFNAME: ifname,
      CNI_PATH: "/nonexistent",
    };
    const ipam = { type: "host-local", dataDir: this.#directory.join("networks"), ...this.#ipam };
    const stdin = { cniVersion: "1.0.0", name: "net", type: "bridge", ipam, ...members };
    return runPluginHere({ plugin: "host-local", plugins: builtInPlugins(), environment, stdin });
  }

  /** The addresses that ADD gave, or the error's line. */
  add(containerId: string, members: JsonObject = {}, ifname = "eth0"): string {
    const run = this.call("ADD", containerId, members, ifname);
    if (run.exitCode !== 0) return errorLine(run);
    const ips = new Decoder(printed(run)).field("ips").list();
    return ips.map((ip) => ip.field("address").string()).join(" ");
  }

  /** `none`, or the error's line. */
  delete(containerId: string, members: JsonObject = {}, ifname = "eth0"): string {
    return errorLine(this.call("DEL", containerId, members, ifname));
  }

  /** The names of all files but those that stay. */
  async addresses(): Promise<readonly string[]> {
    const names = await readdir(this.path);
    return names.filter((name) => !/^(?:\.tartan-|lock$|last_reserved_ip\.)/.test(name)).toSorted();
  }

  async write(name: string, text: string): Promise<void> {
    await mkdir(this.path, { recursive: true });
    await writeFile(join(this.path, name), text);
  }

  read(name: string): Promise<string> {
    return readFile(join(this.path, name), "utf8");
  }

  async mode(name: string): Promise<string> {
    const { mode } = await stat(join(this.path, name));
    return (mode & 0o7777).toString(8);
  }
}

const subnet = { subnet: "10.0.0.0/29" };

describe("host-local on disk", () => {
  test("ADD keeps an address in upstream's form, DEL frees it, and a second DEL finds nothing to do", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, { ...subnet, routes: [{ dst: "0.0.0.0/0" }] });
    expect(printed(network.call("ADD", "c1"))).toEqual({
      cniVersion: "1.0.0",
      ips: [{ address: "10.0.0.2/29", gateway: "10.0.0.1" }],
      routes: [{ dst: "0.0.0.0/0" }],
    });
    expect(await network.addresses()).toEqual(["10.0.0.2"]);
    expect(await network.read("10.0.0.2")).toBe("c1\r\neth0");
    expect(await network.read("last_reserved_ip.0")).toBe("10.0.0.2");
    expect(await network.read("lock")).toBe("");
    expect(network.call("DEL", "c1")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(network.call("DEL", "c1")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(await network.addresses()).toEqual([]);
    expect(network.add("c2")).toBe("10.0.0.3/29");
  });

  for (const umask of [0o000, 0o022, 0o077, 0o777]) {
    test(`ADD sets every mode itself, whatever the umask: ${umask.toString(8)}`, async () => {
      await using directory = await createTemporaryDirectory();
      const network = new Network(directory, subnet);
      const before = process.umask(umask);
      try {
        expect(network.add("c1")).toBe("10.0.0.2/29");
      } finally {
        process.umask(before);
      }
      const names = ["..", ".", "lock", "10.0.0.2", "last_reserved_ip.0"];
      const modes = await Promise.all(names.map((name) => network.mode(name)));
      expect(modes).toEqual(["755", "755", "750", "600", "600"]);
    });
  }

  test("ADD gives each interface of a container its own address, and refuses a second one for the same", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    expect(network.add("c1")).toBe("10.0.0.2/29");
    expect(network.add("c1", {}, "net1")).toBe("10.0.0.3/29");
    const refusal = "is not allowed";
    expect(network.add("c1")).toBe(
      `999 failed to allocate for range 0: 10.0.0.2 has been allocated to c1, duplicate allocation ${refusal}`,
    );
    expect(network.delete("c1")).toBe("none");
    expect(await network.addresses()).toEqual(["10.0.0.3"]);
  });

  test("ADD gives one address of each set, and keeps apart where each set stands", async () => {
    await using directory = await createTemporaryDirectory();
    const ranges = [[{ subnet: "10.0.0.0/29" }, { subnet: "10.0.1.0/29" }], [{ subnet: "fd00::/64" }]];
    const network = new Network(directory, { ranges });
    expect(network.add("c1")).toBe("10.0.0.2/29 fd00::2/64");
    expect(network.add("c2")).toBe("10.0.0.3/29 fd00::3/64");
    expect(await network.addresses()).toEqual(["10.0.0.2", "10.0.0.3", "fd00::2", "fd00::3"]);
    expect(await network.read("last_reserved_ip.0")).toBe("10.0.0.3");
    expect(await network.read("last_reserved_ip.1")).toBe("fd00::3");
    expect(network.delete("c1")).toBe("none");
    expect(await network.addresses()).toEqual(["10.0.0.3", "fd00::3"]);
  });

  test("ADD that fails gives back what it had reserved, and nothing that it had not", async () => {
    await using directory = await createTemporaryDirectory();
    const ranges = [[{ subnet: "10.0.0.0/29" }], [{ subnet: "10.0.1.0/30" }]];
    const network = new Network(directory, { ranges });
    expect(network.add("c1")).toBe("10.0.0.2/29 10.0.1.2/30");
    expect(network.add("c2")).toBe(
      "999 failed to allocate for range 1: no IP addresses available in range set: 10.0.1.1-10.0.1.2",
    );
    expect(await network.addresses()).toEqual(["10.0.0.2", "10.0.1.2"]);
    expect(network.add("c2", { args: { cni: { ips: ["10.0.0.5", "10.9.9.9", "10.9.9.8"] } } })).toStartWith("999 ");
    expect(network.add("c1")).toStartWith("999 failed to allocate for range 0: 10.0.0.2 has been allocated to c1");
    expect(await network.addresses()).toEqual(["10.0.0.2", "10.0.1.2"]);
  });

  test("ADD tells addresses asked for that lie in no range, and reserves nothing", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    const ips: Json = ["10.0.0.5", "10.9.9.9", "10.9.9.8"];
    const told = "999 failed to allocate all requested IPs: 10.9.9.9 10.9.9.8";
    expect(network.add("c1", { args: { cni: { ips } } })).toBe(told);
    expect(await network.addresses()).toEqual([]);
    expect(network.add("c1", { args: { cni: { ips: ["10.0.0.5"] } } })).toBe("10.0.0.5/29");
    expect(network.add("c2", { runtimeConfig: { ips: ["10.0.0.5/29"] } })).toBe(
      "999 failed to allocate for range 0: requested IP address 10.0.0.5 is not available in range set 10.0.0.1-10.0.0.6",
    );
    // The search goes on after what was asked for.
    expect(network.add("c2")).toBe("10.0.0.6/29");
  });

  test("ADD that cannot note where it stands gives the address back", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    await mkdir(join(network.path, "last_reserved_ip.0", "in the way"), { recursive: true });
    expect(network.add("c1")).toStartWith("999 failed to allocate for range 0: ");
    expect(await network.addresses()).toEqual([]);
  });

  test("ADD checks everything before it makes a directory", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    expect(network.add("c1", { args: { cni: { ips: ["x"] } } })).toBe("7 invalid IP address x");
    const missing = new Network(directory, { ...subnet, resolvConf: directory.join("missing") });
    expect(missing.add("c1")).toContain("no such file or directory");
    expect(await readdir(directory.path)).toEqual([]);
  });

  test("DEL of a network that never gave out an address makes no directory", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    expect(network.delete("c1")).toBe("none");
    expect(await readdir(directory.path)).toEqual([]);
  });

  test("ADD gives out addresses whose files name nobody, and no others", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    await network.write("10.0.0.2", "");
    await network.write("10.0.0.3", "c9");
    await network.write("10.0.0.4", "\0\0\0\0\0\0");
    await network.write("10.0.0.5", "c8\r\n");
    await mkdir(join(network.path, "10.0.0.6"));
    expect(["c1", "c2", "c3", "c4"].map((id) => network.add(id))).toEqual([
      "10.0.0.2/29",
      "10.0.0.4/29",
      "10.0.0.5/29",
      "999 failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6",
    ]);
    expect(await network.read("10.0.0.4")).toBe("c2\r\neth0");
  });

  test("DEL frees what old versions left, which name no interface, and only when nothing names it", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    await network.write("10.0.0.2", "\n  c1\t\r\n");
    await network.write("10.0.0.3", "c2");
    await network.write("10.0.0.4", " c1\r\neth0 \n");
    expect(network.add("c2")).toContain("10.0.0.3 has been allocated to c2");
    expect(network.delete("c1")).toBe("none");
    expect(await network.addresses()).toEqual(["10.0.0.2", "10.0.0.3"]);
    expect(network.delete("c1")).toBe("none");
    expect(await network.addresses()).toEqual(["10.0.0.3"]);
  });

  test("ids that begin alike are told apart", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    expect(["c12", "c1", "c"].map((id) => network.add(id))).toEqual(["10.0.0.2/29", "10.0.0.3/29", "10.0.0.4/29"]);
    expect(network.delete("c1")).toBe("none");
    expect(await network.addresses()).toEqual(["10.0.0.2", "10.0.0.4"]);
    expect(network.delete("c123")).toBe("none");
    expect(network.delete("c")).toBe("none");
    expect(await network.addresses()).toEqual(["10.0.0.2"]);
  });

  test("ADD removes temporary files that a killed process left, and knows other names as none of its own", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    await network.write(".10.0.0.2.tartan-4194399-k1j2", "c1\r\neth0");
    await network.write(".last_reserved_ip.0.tartan-4194399-x", "");
    await network.write("notes", "c1\r\neth0");
    await network.write("last_reserved_ip.0", "nonsense");
    expect(network.add("c1")).toBe("10.0.0.2/29");
    expect(network.delete("c1")).toBe("none");
    expect(await network.addresses()).toEqual(["notes"]);
  });

  test("DEL needs neither the ranges that ADD had nor good arguments", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, subnet);
    const elsewhere = { ipam: { type: "host-local", dataDir: directory.join("networks") } };
    expect(network.add("c1")).toBe("10.0.0.2/29");
    expect(network.delete("c1", elsewhere)).toBe("none");
    expect(await network.addresses()).toEqual([]);
    expect(network.add("c1")).toBe("10.0.0.3/29");
    expect(network.delete("c1", { args: { cni: { ips: ["x"] } } })).toBe("none");
    expect(await network.addresses()).toEqual([]);
    for (const broken of [{ ranges: 5 }, { subnet: "10.0.0.1/29" }, { ranges: [[]] }, { routes: "x" }]) {
      expect(network.add("c1")).toStartWith("10.0.0.");
      expect(network.delete("c1", { ipam: { ...elsewhere.ipam, ...broken } })).toBe("none");
      expect(await network.addresses()).toEqual([]);
    }
  });

  test("ADD reads resolv.conf into the result", async () => {
    await using directory = await createTemporaryDirectory();
    const resolvConf = await directory.write("resolv.conf", "nameserver 192.0.2.3\nsearch example.com\n");
    const network = new Network(directory, { ...subnet, resolvConf });
    expect(printed(network.call("ADD", "c1"))["dns"]).toEqual({
      nameservers: ["192.0.2.3"],
      search: ["example.com"],
    });
  });

  test("ADD does not enumerate a range of 2^64 addresses", async () => {
    await using directory = await createTemporaryDirectory();
    const network = new Network(directory, { ranges: [[{ subnet: "fd00::/64" }]] });
    await network.write("last_reserved_ip.0", "fd00::ffff:ffff:ffff:fffe");
    await network.write("fd00::ffff:ffff:ffff:ffff", "c0");
    expect(network.add("c1")).toBe("fd00::2/64");
  });
});

await describeWith(["root"], "host-local where a file cannot be removed", () => {
  test("DEL tries every file of the attachment, and tells what failed", async () => {
    await using directory = await createTemporaryDirectory();
    const ranges = ["10.0.0.0/29", "10.0.1.0/29", "10.0.2.0/29"].map((range) => [{ subnet: range }]);
    const network = new Network(directory, { ranges });
    expect(network.add("c1")).toBe("10.0.0.2/29 10.0.1.2/29 10.0.2.2/29");
    const stuck = ["10.0.0.2", "10.0.2.2"].map((name) => join(network.path, name));
    await using undo = new AsyncDisposableStack();
    for (const path of stuck) {
      // A mount point is busy, and reads as the file that it was.
      await runCommand(["mount", "--bind", path, path]);
      undo.defer(async () => {
        await runCommand(["umount", path]);
      });
    }
    const told = network.delete("c1");
    for (const path of stuck) expect(told).toContain(`Cannot remove ${path}: device or resource busy (EBUSY)`);
    expect(await network.addresses()).toEqual(["10.0.0.2", "10.0.2.2"]);
    await undo.disposeAsync();
    expect(network.delete("c1")).toBe("none");
    expect(await network.addresses()).toEqual([]);
  });
});
