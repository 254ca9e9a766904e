/**
 * The one-way street of the source folders, as a table. Every import in src/ is read, those of types too, and each that
 * the table does not list is named with its file.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

interface Layer {
  /** The layers below that it may import; itself always. */
  readonly layers: readonly string[];
  /** Modules from outside src/: by name, or by prefix when it ends with a colon. */
  readonly modules: readonly string[];
}

const plain = ["base", "addr", "sys"] as const;
const belowDaemon = [...plain, "netlink", "firewall", "lease", "sources", "backend"] as const;

/** The list is complete: what is not in a row is forbidden. */
const table: Readonly<Record<string, Layer>> = {
  base: { layers: [], modules: [] },
  addr: { layers: ["base"], modules: [] },
  sys: { layers: ["base"], modules: ["node:", "bun", "bun:ffi", "consola"] },
  netlink: { layers: plain, modules: [] },
  firewall: { layers: [...plain, "netlink"], modules: [] },
  lease: { layers: plain, modules: [] },
  sources: { layers: [...plain, "lease"], modules: ["@kubernetes/client-node"] },
  cni: { layers: plain, modules: [] },
  plugins: { layers: [...plain, "netlink", "firewall", "lease", "cni"], modules: [] },
  backend: { layers: [...plain, "netlink", "lease"], modules: [] },
  daemon: { layers: belowDaemon, modules: ["bun", "citty", "ip-address"] },
  operator: { layers: [...belowDaemon, "cni", "plugins", "daemon"], modules: ["node:", "bun", "citty", "ip-address"] },
  // What answers VERSION directly; the programs dynamically, so that none loads the code of another (72 ms).
  "main.ts": { layers: ["cni", "plugins", "daemon", "operator"], modules: [] },
};

/** Modules that only some files of the layers above may name. */
const onlyIn: Readonly<Record<string, RegExp>> = {
  "bun:ffi": /^sys\/libc\.ts$/,
  consola: /^sys\/log\.ts$/,
  citty: /^(?:daemon\/flags\.ts$|operator\/)/,
  "@kubernetes/client-node": /^sources\/kube\/client\.ts$/,
};

/** Layers of parts that must not know one another; the files named may know all, since they put them together. */
const siblings: Readonly<Record<string, readonly string[]>> = {
  sources: [],
  plugins: ["plugins/main.ts", "plugins/seldom.ts"],
};

/** How a module that is not named in the code appears, and the only file that may load one: which, it says itself. */
const computed = "(computed)";
const loader = "plugins/main.ts";

const drawers = /(?:^|\/)(?:utils?|helpers?|common|types|index)(?:\.ts|\/)/;
const maximumLines = 300;

type Sources = ReadonlyMap<string, string>;

interface Import {
  readonly module: string;
  readonly dynamic: boolean;
}

/** The text without comments; with `strings: false` also without the content of strings. */
function code(text: string, keep: { readonly strings: boolean }): string {
  const tokens = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
  return text.replaceAll(tokens, (token) => (token.startsWith("/") || !keep.strings ? " " : token));
}

function readImports(text: string): readonly Import[] {
  const stripped = code(text, { strings: true });
  const fixed = stripped.matchAll(/\b(?:import|export)\s+(?:[\w*{}\s,$]+?\sfrom\s*)?["']([^"']+)["']/g);
  const called = stripped.matchAll(/\b(?:import|require)\s*\(\s*(?:["']([^"']+)["'])?/g);
  return [
    ...Array.from(fixed, (match) => ({ module: match[1] ?? "", dynamic: false })),
    ...Array.from(called, (match) => ({ module: match[1] ?? computed, dynamic: true })),
  ];
}

function layerOf(path: string): string {
  return path.split("/")[0] ?? "";
}

/** `bridge` for plugins/bridge/config.ts, `flannel` for plugins/flannel.ts. */
function partOf(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.ts$/, "");
}

/** The package of a module: `consola` for `consola/core`, `@a/b` for `@a/b/c`. */
function packageOf(module: string): string {
  return module.startsWith("@") ? module.split("/", 2).join("/") : (module.split("/")[0] ?? module);
}

/** What is wrong with one import of one file, undefined when nothing is. */
function findFault(path: string, { module, dynamic }: Import): string | undefined {
  const layer = layerOf(path);
  const row = table[layer];
  if (row === undefined) return `the layer ${layer} is not in the table`;
  if (module === computed && path === loader) return undefined;
  if (!module.startsWith(".")) {
    const name = packageOf(module);
    const listed = row.modules.some((entry) => (entry.endsWith(":") ? name.startsWith(entry) : name === entry));
    if (!listed) return `${layer} may not import it`;
    return onlyIn[name]?.test(path) === false ? "only another file may import it" : undefined;
  }
  if (!module.endsWith(".ts")) return "it does not end with .ts";
  const target = posix.normalize(posix.join(posix.dirname(path), module));
  const targetLayer = layerOf(target);
  if (layer === "main.ts" && !dynamic && targetLayer !== "cni") return "main may import it dynamically only";
  if (targetLayer !== layer) return row.layers.includes(targetLayer) ? undefined : `${layer} lies below ${targetLayer}`;
  const roots = siblings[layer];
  if (roots === undefined || roots.includes(path) || partOf(path) === partOf(target)) return undefined;
  return `${partOf(path)} and ${partOf(target)} must not know one another`;
}

function importFaults(sources: Sources): readonly string[] {
  return [...sources].flatMap(([path, text]) =>
    readImports(text).flatMap((item) => {
      const fault = findFault(path, item);
      return fault === undefined ? [] : [`${path} imports "${item.module}": ${fault}`];
    }),
  );
}

/** Every file that the entries load when they start, and all that those load. */
function loadedBy(sources: Sources, entries: readonly string[]): ReadonlySet<string> {
  const loaded = new Set<string>();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (loaded.has(path)) continue;
    loaded.add(path);
    const directory = posix.dirname(path);
    const relative = readImports(sources.get(path) ?? "").filter(({ module }) => module.startsWith("."));
    waiting.push(...relative.map(({ module }) => posix.normalize(posix.join(directory, module))));
  }
  return loaded;
}

/** What costs a plugin's start milliseconds, in any file that a plugin loads. */
function slowStarts(sources: Sources): readonly string[] {
  const entries = [...sources.keys()].filter((path) => layerOf(path) === "cni" || layerOf(path) === "plugins");
  return [...loadedBy(sources, entries)].flatMap((path) => {
    const text = sources.get(path) ?? "";
    const modules = readImports(text).filter(
      ({ module }) => !module.startsWith(".") && module !== "bun:ffi" && !(module === computed && path === loader),
    );
    const streams = code(text, { strings: false }).match(/\bprocess\s*\.\s*(?:stdin|stdout|stderr)\b/g) ?? [];
    return [...modules.map(({ module }) => `${path} imports "${module}"`), ...streams.map((use) => `${path}: ${use}`)];
  });
}

function impurities(sources: Sources): readonly string[] {
  const pure = [...sources].filter(([path]) => layerOf(path) === "base" || layerOf(path) === "addr");
  return pure.flatMap(([path, text]) => {
    const uses = code(text, { strings: false }).match(/\b(?:Bun|process|Buffer|Deno|fetch|Date\.now|performance)\b/g);
    return (uses ?? []).map((use) => `${path}: ${use}`);
  });
}

function readSources(): Sources {
  const root = join(import.meta.dir, "../../src");
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return new Map(paths.toSorted().map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

const sources = readSources();

test("src/ imports only what the layer table lists", () => {
  expect(importFaults(sources)).toEqual([]);
});

test("src/ keeps what is slow to load out of the plugins' reach", () => {
  expect(slowStarts(sources)).toEqual([]);
});

test("src/base and src/addr use nothing of the runtime beyond the language", () => {
  expect(impurities(sources)).toEqual([]);
});

test(`src/ has no file of more than ${maximumLines} lines`, () => {
  const long = [...sources].filter(([, text]) => text.split("\n").length - 1 > maximumLines);
  expect(long.map(([path]) => path)).toEqual([]);
});

test("src/ has no drawer for what nobody found a place for", () => {
  expect([...sources.keys()].filter((path) => drawers.test(path))).toEqual([]);
});

test("readImports() finds every import that Bun finds", () => {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const missed = [...sources].flatMap(([path, text]) => {
    const found = readImports(text).map(({ module }) => module);
    const wanted = transpiler.scanImports(text).map((item) => item.path);
    return wanted.filter((module) => !found.includes(module)).map((module) => `${path}: ${module}`);
  });
  expect(missed).toEqual([]);
});

test("readImports() reads types, re-exports and calls, and no comments", () => {
  const text = `
    // import { no } from "./no.ts";
    /** import("./no.ts") */
    import type { A } from "./a.ts";
    import b, { type B, c as d } from './b.ts';
    import * as e from
      "./e.ts";
    import "./f.ts";
    export { g } from "./g.ts"; export * as h from "./h.ts"; export type { I } from "./i.ts";
    type J = import("./j.ts").J;
    const k = await import(/* why */ "./k.ts"), l = import(name), m = "export const from = 'here'";`;
  expect(readImports(text)).toEqual([
    ...["a", "b", "e", "f", "g", "h", "i"].map((name) => ({ module: `./${name}.ts`, dynamic: false })),
    ...["./j.ts", "./k.ts", "(computed)"].map((module) => ({ module, dynamic: true })),
  ]);
});

const forbidden: readonly (readonly [path: string, text: string])[] = [
  ["base/a.ts", `import type { Fd } from "../sys/fd.ts";`],
  ["addr/a.ts", `import { Address4 } from "ip-address";`],
  ["addr/a.ts", `import { join } from "node:path";`],
  ["sys/a.ts", `import { dlopen } from "bun:ffi";`],
  ["sys/a.ts", `import { consola } from "consola/core";`],
  ["netlink/a.ts", `import { readFileSync } from "node:fs";`],
  ["lease/a.ts", `export type { Link } from "../netlink/link.ts";`],
  ["sources/kube/a.ts", `import { a } from "../etcd/a.ts";`],
  ["sources/kube/a.ts", `import { KubeConfig } from "@kubernetes/client-node";`],
  ["cni/a.ts", `import { a } from "../plugins/a.ts";`],
  ["cni/a.ts", `import { a } from "node:fs";`],
  ["plugins/flannel.ts", `type A = import("./bridge/main.ts").A;`],
  ["plugins/bridge/main.ts", `import { a } from "../host-local/main.ts";`],
  ["plugins/bridge/main.ts", "import.meta.require(name);"],
  ["backend/a.ts", `import { a } from "../firewall/a.ts";`],
  ["daemon/a.ts", `import { a } from "../cni/a.ts";`],
  ["daemon/main.ts", `import { parseArgs } from "citty";`],
  ["operator/a.ts", `import { a } from "../main.ts";`],
  ["main.ts", `import { runDaemon } from "./daemon/main.ts";`],
  ["main.ts", `import { runPlugin } from "./plugins/main.ts";`],
  ["main.ts", `const { a } = await import("./netlink/a.ts");`],
  ["other/a.ts", `import { a } from "../base/a.ts";`],
  ["base/a.ts", `import { a } from "./b";`],
  ["netlink/a.ts", `await import(name);`],
];

test.each(forbidden)("the table forbids %s: %s", (path, text) => {
  expect(importFaults(new Map([[path, text]]))).toHaveLength(1);
});

const allowed: readonly (readonly [path: string, text: string])[] = [
  ["sys/libc.ts", `import { dlopen } from "bun:ffi";`],
  ["sys/log.ts", `import { createConsola } from "consola/core"; import { type A } from "consola";`],
  ["sources/kube/client.ts", `import { KubeConfig } from "@kubernetes/client-node"; import { a } from "./b.ts";`],
  ["plugins/bridge/main.ts", `import { a } from "./config.ts"; import { b } from "../../netlink/link.ts";`],
  ["plugins/main.ts", `import { a } from "./bridge/main.ts"; import { b } from "./flannel.ts";`],
  ["plugins/main.ts", "import.meta.require(name);"],
  ["daemon/flags.ts", `import { parseArgs } from "citty";`],
  ["operator/a.ts", `import { a } from "../plugins/bridge/main.ts"; import { b } from "node:fs";`],
  ["main.ts", `import { a } from "./cni/a.ts"; await import("./plugins/main.ts"); await import("./daemon/main.ts");`],
];

test.each(allowed)("the table allows %s: %s", (path, text) => {
  expect(importFaults(new Map([[path, text]]))).toEqual([]);
});

test("slowStarts() follows imports to what they load", () => {
  const planted = new Map([
    ["plugins/main.ts", `import { a } from "../sys/a.ts";`],
    ["sys/a.ts", `import { log } from "./log.ts"; import { dlopen } from "bun:ffi";`],
    ["sys/log.ts", `import { consola } from "consola"; process.stdout.write("process.stdin");`],
    ["sys/b.ts", `import "node:fs";`],
  ]);
  expect(slowStarts(planted)).toEqual([`sys/log.ts imports "consola"`, "sys/log.ts: process.stdout"]);
});

test("impurities() names the use and passes over words in comments and strings", () => {
  const planted = new Map([
    ["addr/a.ts", `// Bun moves it\nexport const a = Bun.hash("process");`],
    ["sys/a.ts", `process.pid;`],
  ]);
  expect(impurities(planted)).toEqual(["addr/a.ts: Bun"]);
});
