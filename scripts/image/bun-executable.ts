import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import packageLock from "../../package-lock.json" with { type: "json" };
import type { Architecture } from "./architecture.ts";
import { runProgram } from "./run.ts";

/**
 * The path of Bun's executable for another machine. `bun build --target` would get it by itself, but always from the
 * public registry and unchecked; here npm gets it from the registry it is told, and package-lock.json says what it must be.
 */
export function fetchBun({ bunPackage }: Architecture, root: string): string {
  const locked = lockedPackage(bunPackage);
  const directory = `${root}/node_modules/.cache/tartan/${bunPackage.replace("/", "-")}-${locked.version}`;
  const path = `${directory}/package/bin/bun`;
  if (existsSync(path)) return path;
  const building = `${directory}.${process.pid}`;
  mkdirSync(building, { recursive: true });
  try {
    runProgram(["npm", "pack", "--silent", `${bunPackage}@${locked.version}`, "--pack-destination", building], root);
    const [archive = ""] = [...new Bun.Glob("*.tgz").scanSync(building)];
    checkIntegrity(`${building}/${archive}`, locked.integrity);
    runProgram(["tar", "--extract", "--gzip", "--file", archive, "package/bin/bun"], building);
    rmSync(`${building}/${archive}`);
    rmSync(directory, { recursive: true, force: true });
    renameSync(building, directory);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  return path;
}

function lockedPackage(name: string): { readonly version: string; readonly integrity: string } {
  const packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>> =
    packageLock.packages;
  const { version, integrity } = packages[`node_modules/${name}`] ?? {};
  if (version !== undefined && integrity !== undefined) return { version, integrity };
  throw new Error(`Cannot fetch ${name}: package-lock.json does not say what it must be`);
}

/** Subresource integrity, as npm writes it: the algorithm, a dash, the digest in base64. */
function checkIntegrity(path: string, integrity: string): void {
  const hasher = new Bun.CryptoHasher("sha512").update(runProgram(["cat", path], "/"));
  const found = `sha512-${hasher.digest("base64")}`;
  if (found !== integrity)
    throw new Error(`Cannot use ${path}: its digest is ${found}, package-lock.json has ${integrity}`);
}
