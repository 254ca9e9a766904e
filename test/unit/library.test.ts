/** That the Kubernetes library, which takes 23 MB, comes into memory only where somebody asks for it. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { repositoryRoot } from "../helpers/executable.ts";

const transpiler = new Bun.Transpiler({ loader: "ts" });
const source = join(repositoryRoot, "src");

/** Every file that is loaded with an entry: without what is imported when it is needed, and without types. */
function loadedWith(entry: string): ReadonlySet<string> {
  const loaded = new Set<string>();
  const waiting = [join(source, entry)];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (loaded.has(path) || !existsSync(path)) continue;
    loaded.add(path);
    const imports = transpiler.scanImports(readFileSync(path, "utf8"));
    const directory = dirname(path);
    waiting.push(...imports.flatMap(({ kind, path: to }) => (kind === "import-statement" ? join(directory, to) : [])));
  }
  return new Set([...loaded].map((path) => path.slice(source.length + 1)));
}

test("no program and no command loads the Kubernetes library when it starts", () => {
  const client = "sources/kube/client.ts";
  for (const entry of ["main.ts", "plugins/main.ts", "plugins/seldom.ts", "daemon/main.ts", "operator/main.ts"]) {
    expect([entry, loadedWith(entry).has(client)]).toEqual([entry, false]);
  }
  expect(loadedWith("daemon/main.ts").has("sources/kube/transport.ts")).toBe(true);
  expect(loadedWith(client).has("sources/kube/transport.ts")).toBe(true);
});
