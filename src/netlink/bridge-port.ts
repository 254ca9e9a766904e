/** Settings of bridges and their ports that few configurations ask for. */
import { putNested, putText, putU8 } from "./attribute.ts";
import * as k from "./constants.ts";
import { buildRequest, type Request } from "./message.ts";

/** include/uapi/linux/if_link.h */
export const IFLA_BRPORT_ISOLATED = 33;

/** The port exchanges no frames with other isolated ports. Like: bridge link set dev PORT isolated on */
export function isolateBridgePort(index: number): Request {
  return buildRequest(k.RTM_NEWLINK, 0, `isolate bridge port #${index}`, (writer) => {
    writer.u8(k.AF_UNSPEC).zeros(3).i32(index).u32(0).u32(0);
    putNested(writer, k.IFLA_LINKINFO, () => {
      putText(writer, k.IFLA_INFO_SLAVE_KIND, "bridge");
      putNested(writer, k.IFLA_INFO_SLAVE_DATA, () => putU8(writer, IFLA_BRPORT_ISOLATED, 1));
    });
  });
}

/** The device takes frames for all addresses. Like: ip link set DEVICE promisc on */
export function setPromiscuous(index: number): Request {
  return buildRequest(k.RTM_NEWLINK, 0, `make link #${index} promiscuous`, (writer) => {
    writer.u8(k.AF_UNSPEC).zeros(3).i32(index).u32(k.IFF_PROMISC).u32(k.IFF_PROMISC);
  });
}
