import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";

import { createCniHost } from "../helpers/cni-host.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["root", "executable"], "reservations that a crash has torn", () => {
  test("the next ADD or DEL removes what names nobody, and nothing that may be an old version's", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.hostLocalConfig();
    const pod = await host.addPod();
    const id = "0123456789abcdef".repeat(4);
    const contents = [
      "",
      "\0\0\0",
      " \n",
      `${id}\r\n`,
      `${id}\r`,
      `${id}\r\n\0\0`,
      id,
      id.slice(0, 20),
      `${id}\r\neth0`,
    ];
    for (const command of ["ADD", "DEL"]) {
      for (const [index, content] of contents.entries()) {
        await host.directory.write(`networks/cbr0/10.244.1.${20 + index}`, content);
      }
      expect((await host.call(command, config, { pod })).exitCode).toBe(0);
      const left = (await readdir(`${host.networksDirectory}/cbr0`)).filter((name) => name.startsWith("10.244.1.2"));
      expect(left.toSorted().filter((name) => name !== "10.244.1.2")).toEqual([
        "10.244.1.26",
        "10.244.1.27",
        "10.244.1.28",
      ]);
    }
  });
});
