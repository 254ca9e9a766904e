import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";

import { flagTable } from "../../../src/daemon/flag-table.ts";
import { repositoryRoot } from "../../helpers/executable.ts";

const text = await readFile(`${repositoryRoot}/docs/compatibility.md`, "utf8");

/** What a table says, by each name in the first cell of its rows. */
function readTable(heading: string): ReadonlyMap<string, string> {
  const [, section = ""] = text.split(`\n## ${heading}\n`);
  const [own = ""] = section.split("\n## ");
  const rows = [...own.matchAll(/^\| (`.*?) +\| (.*?) +\|$/gm)];
  return new Map(
    rows.flatMap(([, names = "", claim = ""]) => names.split(", ").map((name) => [name.replaceAll("`", ""), claim])),
  );
}

test("docs/compatibility.md says of every flag what the daemon does with it", () => {
  const claims = readTable("Flags of flanneld");
  expect([...claims.keys()].toSorted()).toEqual(Object.keys(flagTable).toSorted());
  for (const [name, { missing, idle }] of Object.entries(flagTable)) {
    const wanted =
      missing !== undefined ? /^not yet/ : idle !== undefined ? /^no effect/ : /^(?:same|better|tartan's own)/;
    expect(`${name}: ${claims.get(name)?.match(wanted)?.[0] ?? "another claim"}`).not.toEndWith("another claim");
  }
});
