import { ByteWriter } from "../base/bytes.ts";
import { all, op, writeSteps } from "./filter.ts";

/** Where struct nlmsghdr has the port of whose request a message tells. */
const portOffset = 12;

/**
 * The instructions that leave out what is told of the requests of one socket: a daemon that changes thousands of things at
 * once knows what it has done. Pure.
 */
export function portFilter(port: number): Uint8Array {
  const writer = new ByteWriter();
  // The number as the instruction loads it: in network order.
  const value = new DataView(new Uint32Array([port]).buffer).getUint32(0);
  writeSteps(
    [
      { code: op.loadWord, value: portOffset },
      { code: op.ifEqual, value, otherwise: "pass" },
      { code: op.give, value: 0 },
      { label: "pass", code: op.give, value: all },
    ],
    writer,
  );
  return writer.finish();
}
