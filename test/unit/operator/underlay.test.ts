import { expect, test } from "bun:test";

import { errorText } from "../../../src/base/error.ts";
import { NetlinkError } from "../../../src/netlink/message.ts";
import { lacksLinkKind } from "../../../src/operator/demo/underlay.ts";
import { errno } from "../../../src/sys/errno.ts";

test("lacksLinkKind() names the missing kind and its module, and keeps the kernel's words", () => {
  const refusal = new NetlinkError("add vxlan flannel.1", errno.EOPNOTSUPP, "Unknown device type");
  const text = errorText(lacksLinkKind("vxlan", refusal));
  expect(text).toStartWith("Cannot make a vxlan device: this kernel has none (modprobe vxlan would load the module): ");
  expect(text).toEndWith("Unknown device type");
});
