import { expect, test } from "bun:test";
import { copyFile, cp, link, mkdir, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { Decoder, parseJson } from "../../src/base/decode.ts";
import packageJson from "../../package.json" with { type: "json" };
import { runCommand } from "../helpers/command.ts";
import { executablePath, repositoryRoot } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";

const version = { CNI_COMMAND: "VERSION" };
const forbidden = "memory that is writable and executable is forbidden here";

await describeWith(["root", "executable"], "the executable", () => {
  test("picks the program by a symbolic link, a hard link, a copy and the first argument", async () => {
    await using directory = await createTemporaryDirectory();
    await symlink(executablePath, directory.join("host-local"));
    await copyFile(executablePath, directory.join("bridge"));
    await copyFile(executablePath, directory.join("any-name"));
    await link(directory.join("any-name"), directory.join("loopback"));
    for (const argv of [["host-local"], ["bridge"], ["loopback"], ["any-name", "flannel"]]) {
      const [program = "", ...rest] = argv;
      const { stdout } = await runCommand([directory.join(program), ...rest], { env: version });
      expect(new Decoder(parseJson(stdout)).field("supportedVersions").list().length).toBe(7);
    }
    const daemon = await runCommand([directory.join("any-name"), "flanneld", "--version"]);
    const command = await runCommand([directory.join("any-name"), "version"]);
    expect(`${daemon.stdout}${daemon.stderr}`).toBe(command.stdout);
    expect(command.stdout).toMatch(
      new RegExp(`^tartan ${packageJson.version} \\([\\da-f]{12}(-dirty)?|unknown\\)\\n$`),
    );
  });

  test("tells what there is when it does not know a command", async () => {
    const { stdout, stderr } = await runCommand([executablePath, "frobnicate"], { exitCode: 2 });
    expect(stdout).toBe("");
    expect(stderr).toContain('unknown command "frobnicate"');
    for (const word of ["demo", "version", "help", "flanneld", "flannel", "host-local"]) expect(stderr).toContain(word);
  });

  test("says in one line that it needs memory that is writable and executable", async () => {
    const limited = ["prlimit", "--as=1500000000"];
    const command = await runCommand([...limited, executablePath, "version"], { exitCode: 1 });
    expect(command.stderr).toContain(forbidden);
    expect(command.stderr.trimEnd()).not.toContain("\n");
    const plugin = await runCommand([...limited, executablePath, "bridge"], {
      env: { CNI_COMMAND: "ADD" },
      exitCode: 1,
    });
    const error = new Decoder(parseJson(plugin.stdout));
    expect(error.field("code").integer()).toBe(999);
    expect(error.field("msg").string()).toContain(forbidden);
  });

  test("runs where there is nothing but itself, the C library and /proc", async () => {
    await using root = await createTemporaryDirectory();
    await copyFile(executablePath, root.join("tartan"));
    const { stdout } = await runCommand(["ldd", executablePath]);
    const libraries = stdout.match(/\/\S+\.so\S*/g) ?? [];
    expect(libraries.length).toBeGreaterThan(2);
    for (const library of libraries) {
      await mkdir(dirname(root.join(library.slice(1))), { recursive: true });
      await cp(library, root.join(library.slice(1)), { dereference: true });
    }
    await mkdir(root.join("proc"));
    const inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" /tartan "$@"';
    const isolated = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", inside, root.path];
    const shown = await runCommand([...isolated, "version"]);
    expect(shown.stdout).toStartWith(`tartan ${packageJson.version} (`);
    const config = JSON.stringify({ cniVersion: "1.0.0", name: "lo", type: "loopback" });
    const env = { CNI_COMMAND: "DEL", CNI_CONTAINERID: "c1", CNI_IFNAME: "lo", CNI_PATH: "/" };
    await runCommand([...isolated, "loopback"], { env, stdin: config });
  });

  test("is the same file, byte for byte, each time it is built", async () => {
    await using directory = await createTemporaryDirectory();
    const built: string[] = [];
    for (const name of ["first", "second"]) {
      const outdir = await directory.directory(name);
      await runCommand([process.execPath, "build.ts", `--outdir=${outdir}`], {
        cwd: repositoryRoot,
        timeoutMs: 60_000,
      });
      built.push(`${outdir}/tartan`);
    }
    await runCommand(["cmp", ...built]);
  });
});
