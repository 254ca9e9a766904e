import { runCommand } from "./command.ts";

/** Where the hierarchies are mounted: one with version 2, one for each controller with version 1. */
const cgroupRoot = "/sys/fs/cgroup";

/** The cgroups whose path has a name that begins so, in every hierarchy, inner ones first. */
export async function findCgroups(prefix: string): Promise<readonly string[]> {
  const search = ["find", cgroupRoot, "-depth", "-type", "d", "-path", `${cgroupRoot}/*${prefix}*`];
  // What goes away while it is being looked at makes find end with an error.
  const { stdout } = await runCommand(search, { exitCode: "any" });
  return stdout.split("\n").filter((path) => path.includes(`/${prefix}`));
}

/** Removes cgroups in which no process is left: a runtime removes a container's own and leaves the one above it. */
export async function removeCgroups(prefix: string): Promise<void> {
  const paths = await findCgroups(prefix);
  if (paths.length > 0) await runCommand(["rmdir", ...paths], { exitCode: "any" });
}
