import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";

import { type CniHost, createCniHost } from "../helpers/cni-host.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { errorLine } from "../helpers/plugin-process.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { wrongInputs } from "../wrong-inputs/all.ts";
import { describeInput, stdinOf, usualEnvironment, type WrongInput } from "../wrong-inputs/input.ts";

const laneCount = 4;

await describeWith(["root", "executable"], "the executable and wrong inputs", () => {
  test(`answers each of ${wrongInputs.length} with the exact error, and makes nothing`, async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const before = await host.leftovers();
    const answers = new Map<WrongInput, string>();
    const waiting = wrongInputs.values();
    async function runLane(): Promise<void> {
      await using directory = await createTemporaryDirectory();
      for (const input of waiting) answers.set(input, await answer(host, input, directory.path));
    }
    await Promise.all(Array.from({ length: laneCount }, runLane));
    const got = wrongInputs.map((input) => ({ input: describeInput(input), error: answers.get(input) }));
    expect(got).toEqual(wrongInputs.map((input) => ({ input: describeInput(input), error: input.error })));
    expect(await host.leftovers()).toEqual(before);
  });
});

async function answer(host: CniHost, input: WrongInput, directory: string): Promise<string> {
  const subnetFile = `${directory}/subnet.env`;
  if (input.subnetEnv === undefined) await rm(subnetFile, { force: true });
  else await Bun.write(subnetFile, input.subnetEnv);
  const variables = Object.entries({ ...usualEnvironment, ...input.environment });
  const words = variables.map(([name, value]) => `${name}=${value ?? ""}`);
  const ran = await host.netns.run(["env", "-i", ...words, `${host.plugins}/${input.plugin}`], {
    stdin: stdinOf(input, directory),
    exitCode: "any",
  });
  const said = ran.stderr === "" ? "" : ` and on stderr ${ran.stderr}`;
  return `${errorLine(ran).replaceAll(directory, "DIR")}${said}`;
}
