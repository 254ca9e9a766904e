import { afterEach, expect, test } from "bun:test";
import { rename } from "node:fs/promises";

import { formatCidr } from "../../../../src/addr/cidr.ts";
import { NetConfFile } from "../../../../src/sources/kube/config-file.ts";
import { createTemporaryDirectory } from "../../../helpers/temp.ts";

const before = process.cwd();
afterEach(() => process.chdir(before));

test("NetConfFile follows a file of the working directory that is named without a slash", async () => {
  await using directory = await createTemporaryDirectory();
  await directory.write("net.json", '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan"}}');
  process.chdir(directory.path);
  using file = new NetConfFile("net.json", () => undefined);
  const changed = Promise.withResolvers<number>();
  let calls = 0;
  file.start(() => {
    if (++calls === 2) changed.resolve(performance.now());
  });
  expect(calls).toBe(1);
  // Between two looks of what cannot be watched.
  await Bun.sleep(100);
  const began = performance.now();
  await rename(
    await directory.write("new", '{"Network":"10.2.0.0/16","Backend":{"Type":"vxlan"}}'),
    directory.join("net.json"),
  );
  expect((await changed.promise) - began).toBeLessThan(600);
  const network = file.value?.networks[4];
  expect(network === undefined ? undefined : formatCidr(network)).toBe("10.2.0.0/16");
});
