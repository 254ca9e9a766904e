import { UsageError } from "../usage.ts";
import { isId } from "./place.ts";

/** What a person asked `tartan demo` for. */
export type DemoRequest =
  | { readonly kind: "show"; readonly keep: boolean }
  | { readonly kind: "remove"; readonly id: string }
  | { readonly kind: "help" };

/** What `tartan demo --help` prints. */
export const demoUsage = `Usage: tartan demo [--keep]
       tartan demo --remove ID

Makes two nodes with two pods each in network namespaces, shows their network step by step, and removes them again.
Only root may do that; nothing but this executable is needed.

  --keep        leave the nodes up, and say how to look around
  --remove ID   remove what a demo with --keep, or a killed one, has left
  --help        print this
`;

/** Reads the words behind `tartan demo`. Throws a UsageError that names what is wrong. */
export function parseDemoOptions(args: readonly string[]): DemoRequest {
  if (args.includes("--help") || args.includes("-h")) return { kind: "help" };
  const words = args.flatMap((word) => (word.startsWith("--remove=") ? ["--remove", word.slice(9)] : [word]));
  let keep = false;
  let id: string | undefined;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word === "--keep") keep = true;
    else if (word === "--remove") id = parseId(words[++index]);
    else throw new UsageError("demo", `unknown ${word.startsWith("-") ? "option" : "argument"} "${word}"`);
  }
  if (id === undefined) return { kind: "show", keep };
  if (keep) throw new UsageError("demo", 'options "--keep" and "--remove" exclude each other');
  return { kind: "remove", id };
}

function parseId(text: string | undefined): string {
  if (text === undefined || text === "") throw new UsageError("demo", 'option "--remove" needs the ID of a demo');
  if (!isId(text)) throw new UsageError("demo", `option "--remove": "${text}" is no ID of a demo, like "0a1b2c"`);
  return text;
}
