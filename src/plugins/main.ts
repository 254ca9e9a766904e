/** The plugin programs: which there are, and how one is run. */
import { dispatch, ownProcess } from "../cni/dispatch.ts";
import type { CniPlugin } from "../cni/plugin.ts";
import { bridge } from "./bridge/main.ts";
import { flannel } from "./flannel/main.ts";
import { hostLocal } from "./host-local/main.ts";
import { loopback } from "./loopback/main.ts";
import { portmap } from "./portmap/main.ts";

/** Runs the plugin of this name for the process, and ends the process. */
export function runPlugin(name: string): void {
  dispatch(name, builtInPlugins(), ownProcess());
}

/** The plugins by name. They can call each other without another process. */
export function builtInPlugins(): ReadonlyMap<string, CniPlugin> {
  const plugins = new Map<string, CniPlugin>();
  for (const plugin of [flannel, bridge, hostLocal, loopback, portmap]) plugins.set(plugin.name, plugin);
  return plugins;
}
