/** CHECK, GC and STATUS of the host-local plugin. */
import type { CniUpkeep } from "../../cni/plugin.ts";
import { checkAddresses } from "./check.ts";
import { freeStaleAddresses, listStaleAddresses } from "./gc.ts";
import { checkAvailability, listGateways } from "./status.ts";

export const hostLocalUpkeep: CniUpkeep = {
  check: checkAddresses,
  gc: freeStaleAddresses,
  status: checkAvailability,
  gateways: listGateways,
  stale: listStaleAddresses,
};
