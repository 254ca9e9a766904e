/** The plugin programs: which there are, and how one is run. */
import { isCompiled } from "../base/version.ts";
import { dispatch, ownProcess } from "../cni/dispatch.ts";
import type { CniPlugin, CniUpkeep } from "../cni/plugin.ts";
import { type BridgeRules, createBridge } from "./bridge/main.ts";
import { createFlannel } from "./flannel/main.ts";
import { createHostLocal } from "./host-local/main.ts";
import { loopback } from "./loopback/main.ts";
import { createPortmap, type PortMapper } from "./portmap/main.ts";

/** What few calls need (seldom.ts). */
export interface Seldom {
  readonly flannel: CniUpkeep;
  readonly bridge: CniUpkeep;
  readonly hostLocal: CniUpkeep;
  readonly portmap: CniUpkeep;
  readonly rules: BridgeRules;
  readonly mapper: PortMapper;
}

/** Where the executable has it, as build.ts names it, and where the source has it. */
const seldomModule = isCompiled ? "/$bunfs/root/plugins/seldom.js" : `${import.meta.dir}/seldom.ts`;

/** Runs the plugin of this name for the process, and ends the process. */
export function runPlugin(name: string): void {
  dispatch(name, builtInPlugins(), ownProcess());
}

/** The plugins by name. They can call each other without another process. */
export function builtInPlugins(): ReadonlyMap<string, CniPlugin> {
  const plugins = new Map<string, CniPlugin>();
  for (const plugin of [
    createFlannel(() => loadSeldom().flannel),
    createBridge(
      () => loadSeldom().bridge,
      () => loadSeldom().rules,
    ),
    createHostLocal(() => loadSeldom().hostLocal),
    loopback,
    createPortmap(
      () => loadSeldom().portmap,
      () => loadSeldom().mapper,
    ),
  ]) {
    plugins.set(plugin.name, plugin);
  }
  return plugins;
}

/** Loads it without a promise, which plugins have no use for; the second time it is there. */
function loadSeldom(): Seldom {
  const module: unknown = import.meta.require(seldomModule);
  if (hasSeldom(module)) return module.seldom;
  throw new Error(`Cannot load ${seldomModule}: it has not what the plugins need`);
}

/** The build takes both from one source, so that only the type has to be told. */
function hasSeldom(module: unknown): module is { readonly seldom: Seldom } {
  return typeof module === "object" && module !== null && "seldom" in module;
}
