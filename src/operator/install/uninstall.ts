import { listDirectory } from "../../sys/directory.ts";
import { lockFile } from "../../sys/lock.ts";
import { conflistName, ownFileName } from "./layout.ts";
import { leaveList, removeList } from "./list.ts";
import type { Places } from "./options.ts";
import { planRemoval } from "./plan.ts";
import { readPresent } from "./present.ts";
import { hiddenNames, removePrograms } from "./programs.ts";

/** What an uninstallation has found. */
interface Removal {
  /** True when the node's network has become somebody else's. */
  readonly movedAway: boolean;
}

/**
 * Takes out exactly what an installation put in. What has become somebody else's stays: when upstream's installer has
 * written its own `flannel`, the configuration list is in its use, too. Safe to repeat.
 */
export function uninstallFiles({ binDirectory, netDirectory }: Places, tell: (line: string) => void): Removal {
  const names = listDirectory(binDirectory);
  if (names === undefined) {
    removeList(netDirectory, tell);
    return { movedAway: false };
  }
  using lock = lockFile(binDirectory, 0o755);
  void lock;
  const present = readPresent({ binDirectory, hostRoot: undefined }, "/proc/self/exe");
  const plan = planRemoval(present, hiddenNames(names));
  // First, so that no pod is started with plugins that are about to go.
  const movedAway = ["foreign", "broken"].includes(present.get(ownFileName)?.kind ?? "");
  if (!movedAway) removeList(netDirectory, tell);
  else {
    leaveList(netDirectory);
    tell(`${binDirectory}/${ownFileName} is somebody else's, and so is ${netDirectory}/${conflistName}: both stay`);
  }
  removePrograms(binDirectory, plan);
  const gone = [...plan.removed, ...plan.restored];
  tell(gone.length === 0 ? `${binDirectory} has nothing of ours` : `removed from ${binDirectory}: ${gone.join(", ")}`);
  if (plan.restored.length > 0) tell(`put back as before: ${plan.restored.join(", ")}`);
  return { movedAway };
}
