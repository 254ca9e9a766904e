import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";

import { SyscallError } from "../../../src/sys/errno.ts";
import { Fd } from "../../../src/sys/fd.ts";
import {
  claimFile,
  ensureDirectory,
  ensureFile,
  findFile,
  findText,
  openFile,
  overwriteText,
  readText,
  removeFile,
  replaceFile,
} from "../../../src/sys/file.ts";
import { DirectoryWatcher, inotify } from "../../../src/sys/watch.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";
import { waitUntil } from "../../helpers/wait-until.ts";

/** Runs the work under a umask; the work must be synchronous, since the umask is the whole process's. */
function underUmask(mask: number, work: () => void): void {
  const before = process.umask(mask);
  try {
    work();
  } finally {
    process.umask(before);
  }
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

/** The error that the work throws, as text. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(SyscallError);
    return String(error);
  }
  throw new Error("Cannot see a SyscallError: nothing was thrown");
}

test.each([0o000, 0o022, 0o077, 0o777])(
  "replaceFile() and claimFile() give the mode asked for under umask %o",
  async (mask) => {
    await using directory = await createTemporaryDirectory();
    const modes = [0o644, 0o600, 0o755, 0o400];
    underUmask(mask, () => {
      for (const mode of modes) {
        replaceFile(directory.join(`replaced-${mode}`), "text", mode);
        expect(claimFile(directory.join(`claimed-${mode}`), "text", mode)).toBe(true);
      }
    });
    expect(modes.map((mode) => modeOf(directory.join(`replaced-${mode}`)))).toEqual(["644", "600", "755", "400"]);
    expect(modes.map((mode) => modeOf(directory.join(`claimed-${mode}`)))).toEqual(["644", "600", "755", "400"]);
  },
);

test("replaceFile() puts another file in the place of one, with a mode of its own", async () => {
  await using directory = await createTemporaryDirectory();
  const path = await directory.write("file", "a longer text than the next", 0o600);
  const before = openFile(path);
  replaceFile(path, "ünïcode\n", 0o644);
  expect(readFileSync(path, "utf8")).toBe("ünïcode\n");
  expect(modeOf(path)).toBe("644");
  // Whoever has the old one open keeps it whole: nothing was written into it.
  expect(readFileSync(`/proc/self/fd/${before.number}`, "utf8")).toBe("a longer text than the next");
  before[Symbol.dispose]();
  replaceFile(path, "", 0o644);
  expect(readFileSync(path, "utf8")).toBe("");
  expect(readdirSync(directory.path)).toEqual(["file"]);
});

test("replaceFile() writes texts of any size whole", async () => {
  await using directory = await createTemporaryDirectory();
  const text = "0123456789abcdef".repeat(100_000);
  replaceFile(directory.join("large"), text, 0o644);
  expect(readText(directory.join("large"))).toBe(text);
});

test("replaceFile() replaces a symbolic link, not what it points to", async () => {
  await using directory = await createTemporaryDirectory();
  const target = await directory.write("target", "precious");
  symlinkSync(target, directory.join("link"));
  replaceFile(directory.join("link"), "new", 0o644);
  expect([readText(target), readText(directory.join("link"))]).toEqual(["precious", "new"]);
});

test("replaceFile() leaves no temporary file when the rename is refused", async () => {
  await using directory = await createTemporaryDirectory();
  await directory.write("taken/inside", "");
  expect(refusal(() => replaceFile(directory.join("taken"), "text", 0o644))).toContain("Cannot put in place");
  expect(readdirSync(directory.path)).toEqual(["taken"]);
});

test("replaceFile() and claimFile() name the directory that is missing and make none", async () => {
  await using directory = await createTemporaryDirectory();
  for (const put of [replaceFile, claimFile]) {
    const message = refusal(() => put(directory.join("missing/file"), "text", 0o644));
    expect(message).toStartWith(`SyscallError: Cannot make a temporary file for ${directory.join("missing/file")}: `);
    expect(message).toEndWith("no such file or directory (ENOENT)");
  }
  expect(readdirSync(directory.path)).toEqual([]);
});

test("claimFile() gets a name once, and leaves the file that has it as it is", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("10.244.1.0-24");
  expect(claimFile(path, "first", 0o644)).toBe(true);
  expect(claimFile(path, "second", 0o600)).toBe(false);
  expect([readText(path), modeOf(path), statSync(path).nlink]).toEqual(["first", "644", 1]);
  expect(readdirSync(directory.path)).toEqual(["10.244.1.0-24"]);
});

test("claimFile() sees a name that a directory or a dangling link has", async () => {
  await using directory = await createTemporaryDirectory();
  mkdirSync(directory.join("directory"));
  symlinkSync("nowhere", directory.join("link"));
  expect(claimFile(directory.join("directory"), "text", 0o644)).toBe(false);
  expect(claimFile(directory.join("link"), "text", 0o644)).toBe(false);
  expect(readdirSync(directory.path).toSorted()).toEqual(["directory", "link"]);
});

test("temporary files of replaceFile() and claimFile() have names that readers of the directory pass over", async () => {
  await using directory = await createTemporaryDirectory();
  const names: string[] = [];
  using watcher = new DirectoryWatcher();
  watcher.add(directory.path, inotify.IN_CREATE, ({ name }) => names.push(name));
  replaceFile(directory.join("10.244.1.0-24"), "text", 0o644);
  claimFile(directory.join("10.244.2.0-24"), "text", 0o644);
  await waitUntil("both are seen", () => names.length === 3);
  expect(names[0]).toStartWith(".10.244.1.0-24.tartan-");
  expect(names[1]).toStartWith(".10.244.2.0-24.tartan-");
});

test("openFile() and readText() say which file cannot be opened and why", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("missing");
  const message = `SyscallError: Cannot open ${path}: no such file or directory (ENOENT)`;
  expect(refusal(() => openFile(path))).toBe(message);
  expect(refusal(() => readText(path))).toBe(message);
});

test("findFile() and findText() are undefined for what is not there", async () => {
  await using directory = await createTemporaryDirectory();
  const file = await directory.write("file", "");
  for (const path of [directory.join("missing"), directory.join("missing/below"), `${file}/below`]) {
    expect([findFile(path), findText(path)]).toEqual([undefined, undefined]);
  }
});

test("findText() reads empty files, large ones, and those of /proc, whose size is told as 0", async () => {
  await using directory = await createTemporaryDirectory();
  const lengths = [0, 1, 4095, 4096, 4097, 16_384, 70_000];
  for (const length of lengths) {
    const path = await directory.write(`file-${length}`, "x".repeat(length));
    expect(findText(path)).toBe("x".repeat(length));
  }
  const path = "/proc/self/mountinfo";
  expect(findText(path)).toBe(readFileSync(path, "utf8"));
  expect(findText("/proc/self/maps")?.length).toBeGreaterThan(4096);
});

test("findText() gives up on a file that has no end", () => {
  expect(() => findText("/dev/zero")).toThrow("Cannot read /dev/zero: file too large (EFBIG)");
});

test("findText() does not take a directory for a file", async () => {
  await using directory = await createTemporaryDirectory();
  expect(refusal(() => findText(directory.path))).toBe(
    `SyscallError: Cannot read ${directory.path}: is a directory (EISDIR)`,
  );
});

test("overwriteText() makes no file, and leaves what lies behind the text", async () => {
  await using directory = await createTemporaryDirectory();
  expect(refusal(() => overwriteText(directory.join("missing"), "1"))).toContain("(ENOENT)");
  const path = await directory.write("file", "abc");
  overwriteText(path, "1");
  expect([readText(path), readdirSync(directory.path)]).toEqual(["1bc", ["file"]]);
});

test("removeFile() says whether there was something, and leaves directories", async () => {
  await using directory = await createTemporaryDirectory();
  const file = await directory.write("full/file", "");
  expect([removeFile(`${file}/below`), removeFile(file), removeFile(file)]).toEqual([false, true, false]);
  expect(refusal(() => removeFile(directory.join("full")))).toContain("(EISDIR)");
  expect(readdirSync(directory.path)).toEqual(["full"]);
});

test.each([0o000, 0o077])(
  "ensureDirectory() makes each missing directory with the mode asked for under umask %o",
  async (mask) => {
    await using directory = await createTemporaryDirectory();
    underUmask(mask, () => {
      ensureDirectory(directory.join("a/b/c"), 0o755);
      ensureDirectory(`${directory.path}//d///e//`, 0o700);
    });
    const modes = ["a", "a/b", "a/b/c", "d", "d/e"].map((name) => modeOf(directory.join(name)));
    expect(modes).toEqual(["755", "755", "755", "700", "700"]);
  },
);

test("ensureDirectory() leaves the mode of a directory that is there, also behind a link", async () => {
  await using directory = await createTemporaryDirectory();
  mkdirSync(directory.join("there"), { mode: 0o711 });
  symlinkSync("there", directory.join("link"));
  ensureDirectory(directory.join("there"), 0o755);
  ensureDirectory(directory.join("link"), 0o755);
  ensureDirectory(`${directory.join("there")}/`, 0o755);
  ensureDirectory("/", 0o700);
  expect(modeOf(directory.join("there"))).toBe("711");
});

test("ensureDirectory() does not take a file or a dangling link for a directory", async () => {
  await using directory = await createTemporaryDirectory();
  const file = await directory.write("file", "");
  symlinkSync("nowhere", directory.join("link"));
  expect(refusal(() => ensureDirectory(file, 0o755))).toContain("not a directory (ENOTDIR)");
  expect(refusal(() => ensureDirectory(`${file}/below`, 0o755))).toContain("not a directory (ENOTDIR)");
  expect(refusal(() => ensureDirectory(directory.join("link"), 0o755))).toContain(directory.join("link"));
});

test("ensureDirectory() ends with an error where the parent cannot be made either", () => {
  expect(refusal(() => ensureDirectory("/proc/absent/below", 0o755))).toContain("/proc/absent");
  expect(refusal(() => ensureDirectory("", 0o755))).toContain("(ENOENT)");
});

test.each([0o000, 0o077])(
  "ensureFile() sets the mode of a file that it makes, and of no other, under umask %o",
  async (mask) => {
    await using directory = await createTemporaryDirectory();
    const there = await directory.write("there", "kept", 0o640);
    underUmask(mask, () => {
      using made = ensureFile(directory.join("made"), 0o644);
      using found = ensureFile(there, 0o600);
      expect([made.number, found.number].every((number) => number > 2)).toBe(true);
    });
    expect([modeOf(directory.join("made")), modeOf(there), readText(there)]).toEqual(["644", "640", "kept"]);
  },
);

/** C would end each of these paths at the NUL character and work on another file. */
const withPath: readonly (readonly [name: string, call: (path: string) => unknown])[] = [
  ["openFile", openFile],
  ["findFile", findFile],
  ["findText", findText],
  ["overwriteText", (path) => overwriteText(path, "text")],
  ["replaceFile", (path) => replaceFile(path, "text", 0o644)],
  ["claimFile", (path) => claimFile(path, "text", 0o644)],
  ["removeFile", removeFile],
  ["ensureDirectory", (path) => ensureDirectory(path, 0o755)],
  ["ensureFile", (path) => ensureFile(path, 0o644)],
];

test.each(withPath)("%s() refuses a path with a NUL character and touches no file", async (_name, call) => {
  await using directory = await createTemporaryDirectory();
  await directory.write("name", "precious");
  await directory.write(".name", "precious");
  expect(() => call(directory.join("name\0.other"))).toThrow(/^Cannot use path ".*name\\u0000/);
  expect(() => call(directory.join("new\0"))).toThrow("it holds a NUL character");
  expect(readdirSync(directory.path).toSorted()).toEqual([".name", "name"]);
  expect([readText(directory.join("name")), readText(directory.join(".name"))]).toEqual(["precious", "precious"]);
});

test.each(withPath)("%s() tells a name that is too long", async (name, call) => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("n".repeat(256));
  const message = refusal(() => call(path));
  expect(message).toContain("file name too long (ENAMETOOLONG)");
  expect(readdirSync(directory.path)).toEqual([]);
  expect(name).not.toBe("");
});

function countDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

test("no call of this file leaves a descriptor open, whether it succeeds or fails", async () => {
  await using directory = await createTemporaryDirectory();
  const before = countDescriptors();
  for (const name of ["file", "missing", "file/below", "new\0", "."]) {
    for (const [, call] of withPath) {
      await directory.write("file", "text");
      try {
        const result = call(directory.join(name));
        if (result instanceof Fd) result[Symbol.dispose]();
      } catch (error) {
        expect(String(error)).toContain("Cannot");
      }
    }
  }
  expect(countDescriptors()).toBe(before);
});
