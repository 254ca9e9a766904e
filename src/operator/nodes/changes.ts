import { visibleText } from "../../base/visible.ts";
import type { ClusterNode } from "./node.ts";
import { rowOf, titles } from "./overview.ts";
import type { Troubles } from "./troubles.ts";

/** The nodes of a cluster at one time, and what is wrong with them. */
export interface Picture {
  readonly nodes: readonly ClusterNode[];
  readonly troubles: Troubles;
}

/** What is different between two pictures, a line for each thing, in the order of the nodes' names. */
export function changeLines(before: Picture, after: Picture): readonly string[] {
  const [old, now] = [byName(before.nodes), byName(after.nodes)];
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  return names.flatMap((name) => {
    const [left, right] = [before.troubles.get(name) ?? [], after.troubles.get(name) ?? []];
    const texts = [
      ...rowChange(old.get(name), now.get(name)),
      ...right.filter((text) => !left.includes(text)),
      ...(now.has(name) ? left.filter((text) => !right.includes(text)).map((text) => `no longer: ${text}`) : []),
    ];
    return texts.map((text) => visibleText(`${name}: ${text}`));
  });
}

function byName(nodes: readonly ClusterNode[]): ReadonlyMap<string, ClusterNode> {
  return new Map(nodes.map((node) => [node.name, node]));
}

function rowChange(before: ClusterNode | undefined, after: ClusterNode | undefined): readonly string[] {
  if (after === undefined) return ["removed"];
  const now = columnsOf(after);
  if (before === undefined) return [`added, ${now.map(({ title, text }) => `${title} ${text}`).join(", ")}`];
  const old = columnsOf(before);
  return now.flatMap(({ title, text }, index) => {
    const was = old[index]?.text ?? "";
    return was === text ? [] : [`${title} ${text}, was ${was}`];
  });
}

/** All but the name. */
function columnsOf(node: ClusterNode): readonly { readonly title: string; readonly text: string }[] {
  const row = rowOf(node);
  return titles.slice(1).map((title, index) => ({ title, text: row[index + 1] ?? "" }));
}
