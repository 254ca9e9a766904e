/**
 * A kubeconfig as it is written: the library passes over a part of it, and of several files it refuses what kubectl
 * merges. Which entries count, and the words for what is missing, are client-go's (tools/clientcmd).
 */
import { Decoder, type Json } from "../../base/decode.ts";
import { findText, readText } from "../../sys/file.ts";

/** A file that is there. */
interface WrittenFile {
  readonly path: string;
  readonly document: Decoder;
}

/** An entry of a kubeconfig. */
export interface WrittenEntry {
  readonly name: string;
  /** Its member `user` or `cluster`. */
  readonly value: Decoder;
  /** The file that has it. */
  readonly path: string;
  /** Of the file, with a slash at its end: paths in it are relative to that. */
  readonly directory: string;
}

/** What the current context names. */
interface CurrentEntries {
  readonly cluster: WrittenEntry;
  /** Undefined where it names no user: nobody says who asks. */
  readonly user: WrittenEntry | undefined;
}

/**
 * Finds what the current context names, in the default files without a path: of several entries of one name the first
 * counts. Throws an Error, a DecodeError or a SyscallError.
 */
export function findCurrent(path: string | undefined, parseYaml: (text: string) => Json): CurrentEntries {
  const files = readFiles(path === undefined ? usualPaths() : [path], parseYaml);
  if (files.length === 0) throw new Error(path === undefined ? nothingText() : "there is no such file");
  const current = files.map(({ document }) => document.field("current-context").string() ?? "").find(Boolean);
  if (current === undefined) throw new Error("it has no current-context");
  const found = findEntry(files, "context", current);
  if (found === undefined) throw new Error(`context "${current}" was not found: it is the current-context`);
  const cluster = found.value.field("cluster").string() ?? "";
  const user = found.value.field("user").string() ?? "";
  return {
    cluster: findEntry(files, "cluster", cluster) ?? missing("cluster", cluster),
    user: user === "" ? undefined : (findEntry(files, "user", user) ?? missing("user", user)),
  };

  function missing(kind: string, name: string): never {
    throw new Error(`${kind} "${name}" was not found for context "${current}"`);
  }
}

/** Throws an Error for a user who is to be somebody else to the server: nothing of that would be sent. */
export function refuseImpersonation({ value }: WrittenEntry): void {
  for (const name of ["as", "as-uid", "as-groups", "as-user-extra"]) {
    const given = value.field(name).value ?? "";
    if (given === "" || (typeof given === "object" && Object.keys(given).length === 0)) continue;
    const shown = typeof given === "string" ? given : JSON.stringify(given);
    throw new Error(`its user acts as "${shown}" (${name}, impersonation), which is not supported`);
  }
}

/** The text of the file that a member names; undefined without one. Throws an Error that names both. */
export function readNamedFile({ value, directory }: WrittenEntry, member: string): string | undefined {
  const file = value.field(member).string() ?? "";
  if (file === "") return undefined;
  try {
    return readText(file.startsWith("/") ? file : `${directory}${file}`);
  } catch (error) {
    throw new Error(`unable to read its ${member} "${file}"`, { cause: error });
  }
}

function usualPaths(): readonly string[] {
  const { KUBECONFIG: several = "", HOME: home = "" } = process.env;
  const named = several.split(":").filter((each) => each !== "");
  return named.length === 0 ? [`${home}/.kube/config`] : named;
}

/** The first words are client-go's, which many have looked up before. */
function nothingText(): string {
  const paths = usualPaths().map((each) => `"${each}"`);
  const missing = `there is no service account of a pod, and no file ${paths.join(" or ")}`;
  return `invalid configuration: no configuration has been provided: ${missing}`;
}

/** Those that are there and not empty. */
function readFiles(paths: readonly string[], parseYaml: (text: string) => Json): readonly WrittenFile[] {
  return paths.flatMap((path) => {
    const text = findText(path);
    return text === undefined || text.trim() === "" ? [] : [{ path, document: new Decoder(parseYaml(text)) }];
  });
}

function findEntry(
  files: readonly WrittenFile[],
  kind: "cluster" | "context" | "user",
  name: string,
): WrittenEntry | undefined {
  for (const { path, document } of files) {
    const entries = document.field(`${kind}s`).list();
    const entry = entries.find((each) => each.field("name").string() === name);
    if (entry === undefined) continue;
    return { name, value: entry.field(kind), path, directory: path.slice(0, path.lastIndexOf("/") + 1) };
  }
  return undefined;
}
