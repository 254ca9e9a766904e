import type { CoreV1Api, V1NodeList } from "../../sources/kube/client.ts";

const pageSize = 500;

/**
 * Lists all nodes, in pages, of which all are of the first one's version. Rejects with an ApiError, a TransportError, or an
 * Error where it is no list of nodes.
 */
export async function listNodes(core: CoreV1Api): Promise<V1NodeList> {
  const list = await listPage(core, undefined);
  for (let next = nextOf(list); next !== undefined;) {
    const page = await listPage(core, next);
    list.items.push(...page.items);
    next = nextOf(page);
  }
  return list;
}

async function listPage(core: CoreV1Api, next: string | undefined): Promise<V1NodeList> {
  const page = await core.listNode({ limit: pageSize, ...(next === undefined ? {} : { _continue: next }) });
  if (page.kind !== "NodeList") throw new Error("Cannot list nodes: the server's answer is no list of nodes");
  return page;
}

function nextOf({ metadata }: V1NodeList): string | undefined {
  // oxlint-disable-next-line no-underscore-dangle -- what the library makes of `continue`
  const next = metadata?._continue;
  return next === "" ? undefined : next;
}
