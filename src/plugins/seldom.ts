/**
 * What few calls of the plugins need: rules in nf_tables, CHECK, GC and STATUS. The build makes an entry of its own of
 * it, which plugins/main.ts loads when it is asked for: the kernel's time for a pod is short against what it costs to load
 * code that is not used.
 */
import { addRules, removeRules } from "./bridge/rules.ts";
import { bridgeUpkeep } from "./bridge/upkeep.ts";
import { flannelUpkeep } from "./flannel/upkeep.ts";
import { hostLocalUpkeep } from "./host-local/upkeep.ts";
import { addMappings, portmapUpkeep, removeMappings } from "./portmap/mappings.ts";
import type { Seldom } from "./main.ts";

export const seldom: Seldom = {
  flannel: flannelUpkeep,
  bridge: bridgeUpkeep,
  hostLocal: hostLocalUpkeep,
  portmap: portmapUpkeep,
  rules: { addRules, removeRules },
  mapper: { addMappings, removeMappings },
};
