import { type Cidr, findCidr, networkOf } from "../addr/cidr.ts";
import type { Family } from "../addr/ip.ts";
import type { Decoder } from "../base/decode.ts";

/** What net-conf.json says of masquerading, beside the flag that asks for it. Tartan's own keys; upstream passes over them. */
export interface MasqueradeConfig {
  /** False where a family is not masqueraded although the flag asks for it. */
  readonly enabled: Readonly<Record<Family, boolean>>;
  /** Destinations outside the pod network that see the pods' own addresses. */
  readonly except: Readonly<Record<Family, readonly Cidr[]>>;
}

/** Reads `masqueradeIPv4`, `masqueradeIPv6` and `nonMasqueradeCIDRs`. Throws a DecodeError. */
export function decodeMasquerade(document: Decoder): MasqueradeConfig {
  const cidrs = document
    .field("nonMasqueradeCIDRs")
    .list()
    .map((item) => {
      const cidr = findCidr(item.string() ?? "");
      return cidr === undefined ? item.fail("a CIDR") : networkOf(cidr);
    });
  return {
    enabled: {
      4: document.field("masqueradeIPv4").boolean() ?? true,
      6: document.field("masqueradeIPv6").boolean() ?? true,
    },
    except: {
      4: cidrs.filter(({ family }) => family === 4),
      6: cidrs.filter(({ family }) => family === 6),
    },
  };
}
