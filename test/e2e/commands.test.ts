import { expect, test } from "bun:test";

import { runCommand } from "../helpers/command.ts";
import { executablePath } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["executable"], "tartan", () => {
  test("an unknown command is named with what there is, exit code 2", async () => {
    const { stdout, stderr } = await runCommand([executablePath, "deom"], { exitCode: 2 });
    expect(stdout).toBe("");
    expect(stderr).toStartWith('tartan: unknown command "deom"\n');
    for (const word of [
      "demo",
      "nodes",
      "version",
      "help",
      "flanneld",
      "flannel",
      "bridge",
      "host-local",
      "loopback",
    ]) {
      expect(stderr).toContain(word);
    }
  });

  test("an unknown option of the demo is named, exit code 2", async () => {
    const { stderr } = await runCommand([executablePath, "demo", "--kepe"], { exitCode: 2 });
    expect(stderr).toStartWith('tartan demo: unknown option "--kepe"\n');
  });

  test("version gives version and commit; help gives what there is", async () => {
    const version = await runCommand([executablePath, "version"]);
    expect(version.stdout).toMatch(
      /^tartan \d+\.\d+\.\d+ \([\da-f]{12}(?:-dirty)?\)\n$|^tartan \d+\.\d+\.\d+ \(unknown\)\n$/,
    );
    const help = await runCommand([executablePath, "help"]);
    expect(help.stdout).toStartWith("Usage: tartan COMMAND");
    expect((await runCommand([executablePath])).stdout).toBe(help.stdout);
    expect(help.stdout).toContain('"tartan COMMAND --help"');
  });

  test("help of a command is what the command prints itself; of another word there is none", async () => {
    for (const command of ["demo", "nodes", "uninstall", "install-cni"]) {
      const { stdout } = await runCommand([executablePath, "help", command]);
      expect(stdout).toStartWith("Usage: ");
      expect(stdout).toBe((await runCommand([executablePath, command, "--help"])).stdout);
    }
    const { stderr } = await runCommand([executablePath, "help", "deom"], { exitCode: 2 });
    expect(stderr).toStartWith('tartan help: unknown argument "deom"\n');
  });
});
