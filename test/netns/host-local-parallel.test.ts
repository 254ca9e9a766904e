import { expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { runCommand } from "../helpers/command.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { peerProgram } from "../helpers/peers.ts";
import { describeWith } from "../helpers/require.ts";
import { childEnvironment } from "../helpers/run-id.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../helpers/temp.ts";

const upstream = peerProgram("cni-plugins", "host-local");

/** One start of host-local for the container `cN` in a network of 50 addresses. */
interface Start {
  readonly program: string;
  readonly command: "ADD" | "DEL";
  readonly container: number;
}

function variables({ command, container }: Start): Readonly<Record<string, string>> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: `c${container}`,
    CNI_NETNS: "/nonexistent",
    CNI_IFNAME: "eth0",
    CNI_PATH: "/nonexistent",
  };
}

function configIn(directory: TemporaryDirectory): string {
  const range = { subnet: "10.0.0.0/24", rangeStart: "10.0.0.101", rangeEnd: "10.0.0.150" };
  const ipam = { type: "host-local", dataDir: directory.path, ranges: [[range]] };
  return JSON.stringify({ cniVersion: "1.0.0", name: "net", type: "bridge", ipam });
}

/** The address that ADD gave, "" for DEL, or the error's message. */
async function start(directory: TemporaryDirectory, one: Start): Promise<string> {
  const options = { stdin: configIn(directory), env: variables(one), exitCode: "any" } as const;
  const { exitCode, stdout } = await runCommand([one.program], options);
  if (stdout === "") return exitCode === 0 ? "" : "silent failure";
  const reply = new Decoder(parseJson(stdout));
  if (exitCode !== 0) return reply.field("msg").string() ?? "";
  return reply.field("ips").list()[0]?.field("address").string() ?? "no address";
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

const all = numbers(50).map((index) => `10.0.0.${101 + index}`);

async function addressFiles(directory: TemporaryDirectory): Promise<readonly string[]> {
  const names = await readdir(directory.join("net"));
  return names.filter((name) => !/^(?:\.tartan-|lock$|last_reserved_ip\.)/.test(name)).toSorted();
}

/** Every address with the container that it belongs to; each file must be complete. */
async function owners(directory: TemporaryDirectory): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of await addressFiles(directory)) {
    const text = await readFile(directory.join("net", name), "utf8");
    expect(`${name}: ${text}`).toMatch(/^[\d.]+: c\d+\r\neth0$/);
    found.set(name, text.slice(0, text.indexOf("\r")));
  }
  return found;
}

/** The programs take turns. */
function programOf(programs: readonly string[], container: number): string {
  return programs[container % programs.length] ?? "";
}

/** Starts 50 at once for 50 addresses: each gets its own, and a 51st is told that there is none. */
async function expectAllGivenOut(programs: readonly string[]): Promise<void> {
  await using directory = await createTemporaryDirectory();
  const added = await Promise.all(
    numbers(50).map((container) =>
      start(directory, { program: programOf(programs, container), command: "ADD", container }),
    ),
  );
  expect(added.toSorted()).toEqual(all.map((address) => `${address}/24`));
  const known = await owners(directory);
  for (const [container, address] of added.entries()) {
    expect(known.get(address.replace("/24", ""))).toBe(`c${container}`);
  }
  expect(await start(directory, { program: programOf(programs, 0), command: "ADD", container: 50 })).toContain(
    "no IP addresses available in range set: 10.0.0.101-10.0.0.150",
  );
  // Each is deleted by the program after the one that added it.
  const deleted = await Promise.all(
    numbers(50).map((container) =>
      start(directory, { program: programOf(programs, container + 1), command: "DEL", container }),
    ),
  );
  expect(new Set(deleted)).toEqual(new Set([""]));
  expect(await addressFiles(directory)).toEqual([]);
}

await describeWith(["executable"], "host-local in many processes", () => {
  test("50 ADDs at once share no address, and 50 DELs at once free all", async () => {
    await using ours = await createExecutableDirectory(["host-local"]);
    await expectAllGivenOut([ours.program("host-local")]);
  });

  test("ADDs that are killed at any moment leave complete files only, and keep nobody waiting", async () => {
    await using ours = await createExecutableDirectory(["host-local"]);
    await using directory = await createTemporaryDirectory();
    const program = ours.program("host-local");
    expect(await start(directory, { program, command: "ADD", container: 100 })).toBe("10.0.0.101/24");
    for (const container of numbers(40)) {
      const child = Bun.spawn([program], {
        stdin: Buffer.from(configIn(directory)),
        stdout: "ignore",
        stderr: "ignore",
        env: childEnvironment(variables({ program, command: "ADD", container })),
      });
      // A start takes some 5 to 10 ms, so that the kills fall before, into and after the work.
      await Bun.sleep(container / 3);
      child.kill("SIGKILL");
      await child.exited;
    }
    const added = await start(directory, { program, command: "ADD", container: 101 });
    expect(added).toMatch(/^10\.0\.0\.1\d\d\/24$/);
    const known = await owners(directory);
    expect(new Set(known.values()).size).toBe(known.size);
    for (const container of [...numbers(40), 100, 101]) {
      expect(await start(directory, { program, command: "DEL", container })).toBe("");
    }
    expect(await addressFiles(directory)).toEqual([]);
  });
});

await describeWith(["executable", "peer:cni-plugins"], "host-local in many processes beside upstream's", () => {
  test("50 ADDs of both at once share no address, and each frees what the other gave", async () => {
    await using ours = await createExecutableDirectory(["host-local"]);
    await expectAllGivenOut([ours.program("host-local"), upstream]);
  });
});
