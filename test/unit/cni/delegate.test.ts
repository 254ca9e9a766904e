import { expect, test } from "bun:test";

import { formatCidr } from "../../../src/addr/cidr.ts";
import { Decoder, type JsonObject } from "../../../src/base/decode.ts";
import { errorText } from "../../../src/base/error.ts";
import { CniArgs } from "../../../src/cni/args.ts";
import { decodeConfig } from "../../../src/cni/config.ts";
import { delegateAdd, delegateCheck, delegateDel, delegateGc, delegateStatus } from "../../../src/cni/delegate.ts";
import { CniError } from "../../../src/cni/error.ts";
import type { CniGcRequest, CniPlugin, CniRequest } from "../../../src/cni/plugin.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../../helpers/temp.ts";

const json = { cniVersion: "1.0.0", name: "cbr0", type: "bridge", ipam: { type: "ipam" } };

/** A program that notes what it was given, for ADD answers as told, and ends with the status told. */
async function writeProgram(
  directory: TemporaryDirectory,
  answer: string,
  options: { readonly status?: number; readonly stderr?: string } = {},
): Promise<void> {
  const lines = [
    "#!/bin/sh",
    `echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_ARGS $EXTRA $(cat)" >> ${directory.join("calls")}`,
    `printf '%s' '${options.stderr ?? ""}' >&2`,
    `printf '%s' '${answer}'`,
    `exit ${options.status ?? 0}`,
  ];
  await directory.write("ipam", `${lines.join("\n")}\n`, 0o755);
}

function requestIn(
  directory: TemporaryDirectory,
  builtIn: readonly CniPlugin[] = [],
  config: JsonObject = json,
): CniRequest {
  const path = ["/nonexistent", directory.path];
  const variables = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0", CNI_ARGS: "A=1", EXTRA: "kept" };
  return {
    command: "ADD",
    containerId: "c1",
    netns: "/nonexistent",
    interfaceName: "eth0",
    args: new CniArgs("A=1"),
    path,
    environment: { ...variables, CNI_PATH: path.join(":"), PATH: process.env["PATH"] },
    config: decodeConfig(new Decoder(config)),
    builtIn: new Map(builtIn.map((plugin) => [plugin.name, plugin])),
    warn: () => undefined,
  };
}

async function calls(directory: TemporaryDirectory): Promise<readonly string[]> {
  const file = Bun.file(directory.join("calls"));
  return (await file.exists()) ? (await file.text()).trimEnd().split("\n") : [];
}

/** What the work throws as `code message | details`; an error that is none of a plugin's has no code. */
function failure(work: () => unknown): string {
  try {
    work();
    return "none";
  } catch (error) {
    if (!(error instanceof CniError)) return errorText(error);
    return `${error.code} ${errorText(error)}${error.details === undefined ? "" : ` | ${error.details}`}`;
  }
}

const called = `c1 eth0 A=1 kept ${JSON.stringify(json)}`;

test("delegateAdd() executes a program of CNI_PATH with the same environment and the configuration told", async () => {
  await using directory = await createTemporaryDirectory();
  await writeProgram(directory, '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.9/24"}]}');
  const result = delegateAdd(requestIn(directory), "ipam", json);
  expect(result.ips.map(({ address }) => formatCidr(address))).toEqual(["10.0.0.9/24"]);
  expect(await calls(directory)).toEqual([`ADD ${called}`]);
});

test("delegateAdd() reads the program's result in the version that it names, else in the configuration's", async () => {
  await using directory = await createTemporaryDirectory();
  for (const [answer, length] of [
    ['{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.9/24"}}', 1],
    ['{"ip4":{"ip":"10.0.0.9/24"}}', 0],
    ['{"ips":[{"address":"10.0.0.9/24"}]}', 1],
  ] as const) {
    await writeProgram(directory, answer);
    expect(delegateAdd(requestIn(directory), "ipam", json).ips).toHaveLength(length);
  }
});

test("delegateDel() executes the program with CNI_COMMAND DEL, also during ADD", async () => {
  await using directory = await createTemporaryDirectory();
  await writeProgram(directory, "");
  delegateDel(requestIn(directory), "ipam", json);
  expect(await calls(directory)).toEqual([`DEL ${called}`]);
});

test("delegateAdd() passes the program's error on unchanged, and has it delete", async () => {
  await using directory = await createTemporaryDirectory();
  await writeProgram(directory, '{"code":11,"msg":"pool\\nis busy","details":"later"}', { status: 1 });
  const request = requestIn(directory);
  let error: unknown;
  try {
    delegateAdd(request, "ipam", json);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(CniError);
  expect(error).toMatchObject({ code: 11, message: "pool\nis busy", details: "later" });
  expect(await calls(directory)).toEqual([`ADD ${called}`, `DEL ${called}`]);
  expect(failure(() => delegateDel(request, "ipam", json))).toBe("11 pool is busy | later");
});

test("delegateAdd() has the program delete when its result makes no sense", async () => {
  await using directory = await createTemporaryDirectory();
  for (const answer of ["", "nonsense", '{"ips":5}', '{"ips":[{"address":"10.0.0.9"}]}']) {
    await writeProgram(directory, answer);
    expect(failure(() => delegateAdd(requestIn(directory), "ipam", json))).toStartWith(
      '6 Cannot decode the result of plugin "ipam": ',
    );
  }
  await writeProgram(directory, '{"cniVersion":"9.0.0"}');
  const found = failure(() => delegateAdd(requestIn(directory), "ipam", json));
  expect(found).toBe('6 unsupported CNI result version "9.0.0"');
  const commands = (await calls(directory)).map((line) => line.split(" ")[0]);
  expect(commands).toEqual(["ADD", "DEL", "ADD", "DEL", "ADD", "DEL", "ADD", "DEL", "ADD", "DEL"]);
});

test("delegateDel() tells what a program says that prints no error object", async () => {
  await using directory = await createTemporaryDirectory();
  const request = requestIn(directory);
  await writeProgram(directory, "", { status: 3 });
  expect(failure(() => delegateDel(request, "ipam", json))).toBe(
    "999 netplugin failed with no error message: exit status 3",
  );
  await writeProgram(directory, "", { status: 2, stderr: "no such luck" });
  expect(failure(() => delegateDel(request, "ipam", json))).toBe('999 netplugin failed: "no such luck": exit status 2');
  await writeProgram(directory, "oops", { status: 1 });
  expect(failure(() => delegateDel(request, "ipam", json))).toStartWith(
    '999 netplugin failed but error parsing its diagnostic message "oops": ',
  );
  await directory.write("ipam", "#!/bin/sh\nkill -9 $$\n", 0o755);
  expect(failure(() => delegateDel(request, "ipam", json))).toBe(
    "999 netplugin failed with no error message: signal SIGKILL",
  );
});

test("delegateAdd() names a plugin that is nowhere, and what is no plugin's name", async () => {
  await using directory = await createTemporaryDirectory();
  const request = requestIn(directory);
  await directory.write("plain", "no program", 0o644);
  await directory.directory("folder");
  const plain = `Cannot execute ${directory.path}/plain: permission denied (EACCES)`;
  expect(failure(() => delegateAdd(request, "plain", json))).toBe(plain);
  for (const type of ["missing", "folder"]) {
    const wanted = `failed to find plugin "${type}" in path [/nonexistent ${directory.path}]`;
    expect(failure(() => delegateAdd(request, type, json))).toBe(wanted);
    expect(failure(() => delegateDel(request, type, json))).toBe(wanted);
  }
  expect(failure(() => delegateAdd(request, "../ipam", json))).toBe("invalid plugin name: ../ipam");
  expect(failure(() => delegateAdd(request, "", json))).toBe("no plugin name provided");
});

/** A plugin in this process that gives back which requests it got. */
function createBuiltIn(fail?: Error): CniPlugin & { readonly requests: CniRequest[] } {
  const requests: CniRequest[] = [];
  function note(request: CniRequest): void {
    requests.push(request);
    if (fail !== undefined) throw fail;
  }
  function throwIt(): void {
    if (fail !== undefined) throw fail;
  }
  return {
    name: "ipam",
    about: "CNI ipam plugin",
    requests,
    add(request) {
      note(request);
      return { interfaces: [], ips: [], routes: [], dns: undefined };
    },
    del: note,
    check: note,
    gc: throwIt,
    status: throwIt,
  };
}

test("delegateAdd() calls a plugin that is built in, whatever program of its name there is", async () => {
  await using directory = await createTemporaryDirectory();
  await writeProgram(directory, "{}");
  const plugin = createBuiltIn();
  const request = requestIn(directory, [plugin]);
  delegateAdd(request, "ipam", { ...json, mtu: 1400 });
  delegateDel(request, "ipam", { ...json, mtu: 1400 });
  expect(plugin.requests.map(({ command, config }) => [command, config.json["mtu"]])).toEqual([
    ["ADD", 1400],
    ["DEL", 1400],
  ]);
  expect(plugin.requests[0]).toMatchObject({ containerId: "c1", interfaceName: "eth0", netns: "/nonexistent" });
  expect(await calls(directory)).toEqual([]);
});

test('delegateAdd() executes a plugin that is built in when "inProcess" is false in its configuration', async () => {
  await using directory = await createTemporaryDirectory();
  await writeProgram(directory, "{}");
  const plugin = createBuiltIn();
  const outside = { ...json, inProcess: false };
  delegateAdd(requestIn(directory, [plugin]), "ipam", outside);
  delegateDel(requestIn(directory, [plugin]), "ipam", outside);
  expect(plugin.requests).toEqual([]);
  expect(await calls(directory)).toHaveLength(2);
  // What the caller's says by now does not count: an attachment is deleted as it was added.
  delegateDel(requestIn(directory, [plugin], outside), "ipam", { ...json, inProcess: true });
  expect(plugin.requests).toHaveLength(1);
});

test("delegateAdd() tells the error of a built-in plugin as that of a program, and leaves undoing to it", async () => {
  await using directory = await createTemporaryDirectory();
  const plugin = createBuiltIn(new Error("Cannot reserve", { cause: new Error("full") }));
  const request = requestIn(directory, [plugin]);
  expect(failure(() => delegateAdd(request, "ipam", json))).toBe("999 Cannot reserve: full");
  expect(failure(() => delegateDel(request, "ipam", json))).toBe("999 Cannot reserve: full");
  expect(plugin.requests.map(({ command }) => command)).toEqual(["ADD", "DEL"]);
  expect(failure(() => delegateAdd(request, "ipam", { cniVersion: "1.0.0" }))).toBe("7 missing network name");
});

function networkRequestIn(directory: TemporaryDirectory, builtIn: readonly CniPlugin[] = []): CniGcRequest {
  const valid = { list: [], has: () => false, hasContainer: () => false };
  return { ...requestIn(directory, builtIn), command: "GC", valid };
}

test("delegateCheck(), delegateGc() and delegateStatus() execute a program with their command", async () => {
  await using directory = await createTemporaryDirectory();
  await writeProgram(directory, "");
  delegateCheck(requestIn(directory), "ipam", json);
  delegateGc(networkRequestIn(directory), "ipam", json);
  delegateStatus({ ...networkRequestIn(directory), command: "STATUS" }, "ipam", json);
  expect((await calls(directory)).map((line) => line.split(" ")[0])).toEqual(["CHECK", "GC", "STATUS"]);
  await writeProgram(directory, '{"code":120,"msg":"no","details":"why"}', { status: 1 });
  for (const work of [
    (): void => delegateCheck(requestIn(directory), "ipam", json),
    (): void => delegateGc(networkRequestIn(directory), "ipam", json),
    (): void => delegateStatus({ ...networkRequestIn(directory), command: "STATUS" }, "ipam", json),
  ]) {
    expect(failure(work)).toBe("120 no | why");
  }
});

test("delegateStatus() says 50 for a plugin that is nowhere, and passes on all but that every address is taken", async () => {
  await using directory = await createTemporaryDirectory();
  const request = { ...networkRequestIn(directory), command: "STATUS" } as const;
  const missing = `50 failed to find plugin "ipam" in path [/nonexistent ${directory.path}]`;
  expect(failure(() => delegateStatus(request, "ipam", json))).toStartWith(missing);
  const full = "no IP addresses available in range set: 10.0.0.1-10.0.0.2";
  await writeProgram(directory, JSON.stringify({ code: 50, msg: full }), { status: 1 });
  delegateStatus(request, "ipam", json);
  delegateStatus({ ...request, builtIn: new Map([["ipam", createBuiltIn(new CniError(50, full))]]) }, "ipam", json);
  for (const [code, msg] of [
    [50, "no daemon"],
    [51, full],
    [999, full],
  ] as const) {
    await writeProgram(directory, JSON.stringify({ code, msg }), { status: 1 });
    expect(failure(() => delegateStatus(request, "ipam", json))).toStartWith(`${code} ${msg}`);
  }
});

test("delegateDel() waits for a program that is just being written", async () => {
  await using directory = await createTemporaryDirectory();
  await writeProgram(directory, "");
  await Bun.$`cp /bin/true ${directory.join("copied")}`.quiet();
  const writer = Bun.spawn(["sh", "-c", `exec 3>>"$1"; echo open; sleep 0.15`, "sh", directory.join("copied")], {
    stdout: "pipe",
  });
  const { value } = await writer.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("open\n");
  delegateDel(requestIn(directory), "copied", json);
  await writer.exited;
});
