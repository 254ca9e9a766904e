import { wrongBridges } from "./bridge.ts";
import { wrongDocuments } from "./document.ts";
import { wrongEnvironments } from "./environment.ts";
import { wrongFlannels } from "./flannel.ts";
import { wrongHostLocals } from "./host-local.ts";
import type { WrongInput } from "./input.ts";
import { wrongNetworkVerbs } from "./network-verbs.ts";
import { wrongPodVerbs } from "./pod-verbs.ts";
import { wrongPortMappings } from "./port-mappings.ts";
import { wrongPortmaps } from "./portmap.ts";
import { wrongResults } from "./result.ts";
import { wrongSubnetFiles } from "./subnet-env.ts";

/** Every wrong input, with the exact error that it gets. */
export const wrongInputs: readonly WrongInput[] = [
  ...wrongEnvironments,
  ...wrongDocuments,
  ...wrongBridges,
  ...wrongHostLocals,
  ...wrongFlannels,
  ...wrongSubnetFiles,
  ...wrongResults,
  ...wrongPortmaps,
  ...wrongPortMappings,
  ...wrongPodVerbs,
  ...wrongNetworkVerbs,
];
