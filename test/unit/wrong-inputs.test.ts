import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";

import { builtInPlugins } from "../../src/plugins/main.ts";
import { errorLine, runPluginHere } from "../helpers/plugin-process.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { wrongInputs } from "../wrong-inputs/all.ts";
import { describeInput, stdinOf, usualEnvironment, type WrongInput } from "../wrong-inputs/input.ts";

const plugins = builtInPlugins();

/** The fewest that the table may have. */
const fewest = 600;

test("dispatch() answers each wrong input with the exact error, and prints nothing else", async () => {
  await using directory = await createTemporaryDirectory();
  const answers = [];
  for (const input of wrongInputs) {
    const subnetFile = directory.join("subnet.env");
    if (input.subnetEnv === undefined) await rm(subnetFile, { force: true });
    else await Bun.write(subnetFile, input.subnetEnv);
    answers.push({ input: describeInput(input), error: answer(input, directory.path) });
  }
  expect(answers).toEqual(wrongInputs.map((input) => ({ input: describeInput(input), error: input.error })));
});

test("the table of wrong inputs has no input twice", () => {
  const all = wrongInputs.map(describeInput);
  expect(all.filter((text, index) => all.indexOf(text) !== index)).toEqual([]);
  expect(all.length).toBeGreaterThan(fewest);
});

function answer(input: WrongInput, directory: string): string {
  const ran = runPluginHere({
    plugin: input.plugin,
    plugins,
    environment: { ...usualEnvironment, ...input.environment },
    stdin: stdinOf(input, directory),
  });
  const said = ran.stderr === "" ? "" : ` and on stderr ${ran.stderr}`;
  return `${errorLine(ran).replaceAll(directory, "DIR")}${said}`;
}
