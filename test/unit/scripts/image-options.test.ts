import { expect, test } from "bun:test";

import { parseImageOptions } from "../../../scripts/image/options.ts";
import { runCommand } from "../../helpers/command.ts";
import { repositoryRoot } from "../../helpers/executable.ts";

test("parseImageOptions() makes both images under the usual name, or what is asked for", () => {
  const both = parseImageOptions([], "localhost/tartan:1");
  expect(both).toMatchObject({ kind: "make", name: "localhost/tartan:1", libc6: undefined });
  expect(both.kind === "make" && both.chosen.map(({ name }) => name)).toEqual(["amd64", "arm64"]);
  const words = ["--arch=arm64", "--name", "registry.example.org:5000/team/tar-tan__x:V1.0-rc.1", "--libc6=2.41-12"];
  const one = parseImageOptions(words, "localhost/tartan:1");
  expect(one).toMatchObject({ kind: "make", name: words[2], libc6: "2.41-12", chosen: [{ name: "arm64" }] });
});

test.each([
  [["--arch=foo"], 'option "--arch" is "foo", wanted amd64 or arm64'],
  [["--bogus"], "'--bogus'"],
  ...["A B", "tartan", "tartan:1", "registry.example.org/Tartan:1", "registry.example.org/tartan", "r/t:", ""].map(
    (name) => [[`--name=${name}`], `option "--name" is "${name}", wanted a full name like`] as const,
  ),
] as const)("parseImageOptions() refuses %j by name", (words, message) => {
  expect(() => parseImageOptions(words, "localhost/tartan:1")).toThrow(message);
});

test("npm run image prints its options, after a wrong one as well, and no stack", async () => {
  const script = [process.execPath, "scripts/image.ts"];
  const help = await runCommand([...script, "--help"], { cwd: repositoryRoot });
  expect(help.stdout).toStartWith("Usage: npm run image -- [OPTION]...\n");
  const { stderr } = await runCommand([...script, "--arch=foo"], { cwd: repositoryRoot, exitCode: 2 });
  expect(stderr).toBe(`npm run image: option "--arch" is "foo", wanted amd64 or arm64\n\n${help.stdout}`);
});
