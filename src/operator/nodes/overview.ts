import { formatCidr } from "../../addr/cidr.ts";
import { families } from "../../addr/ip.ts";
import { Decoder, parseJson } from "../../base/decode.ts";
import { visibleText } from "../../base/visible.ts";
import { vxlanType } from "../../backend/wanted.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import type { ClusterNode } from "./node.ts";
import type { Troubles } from "./troubles.ts";

/** What is told of each node. */
export const titles: readonly string[] = ["NODE", "POD CIDR", "PUBLIC IP", "BACKEND", "DATA"];

/** What `tartan nodes` prints: a line for each node, what is wrong with some, and a line about all. */
export function overviewText({
  nodes,
  config,
  troubles,
}: {
  readonly nodes: readonly ClusterNode[];
  readonly config: NetworkConfig | undefined;
  readonly troubles: Troubles;
}): string {
  const rows = [titles, ...nodes.map(rowOf)];
  const widths = titles.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const table = rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const wrong = [...troubles].flatMap(([name, texts]) => texts.map((text) => visibleText(`${name}: ${text}`)));
  const many = `${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}`;
  const state = troubles.size === 0 ? "nothing is wrong" : `something is wrong with ${troubles.size}`;
  return [
    ...table,
    "",
    ...wrong,
    ...(wrong.length > 0 ? [""] : []),
    `${networkText(config)}${many}, ${state}`,
    "",
  ].join("\n");
}

/** What is told of a node, under the titles. */
export function rowOf({ name, podCidrs, annotations }: ClusterNode): readonly string[] {
  const addresses = [annotations.get("public-ip"), annotations.get("public-ipv6")].filter(Boolean);
  const type = annotations.get("backend-type") ?? "";
  return [name, podCidrs.join(","), addresses.join(","), type, dataText(type, annotations.get("backend-data"))].map(
    (text) => (text === "" ? "-" : visibleText(text)),
  );
}

/** What people look for in it; all else as it is written. */
function dataText(type: string, text = ""): string {
  if (type !== vxlanType) return text === "null" ? "" : text;
  try {
    const data = new Decoder(parseJson(text));
    return `VNI ${data.field("VNI").integer() ?? "-"}, ${data.field("VtepMAC").string() ?? "-"}`;
  } catch {
    return text;
  }
}

function networkText(config: NetworkConfig | undefined): string {
  if (config === undefined) return "";
  const networks = families.map((family) => config.networks[family]).filter((network) => network !== undefined);
  return `network ${networks.map(formatCidr).join(" and ")}, backend ${config.backend.type}; `;
}
