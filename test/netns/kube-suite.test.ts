/** The suite that every lease source passes, over Node objects of a real API server. */
import { afterAll, beforeAll } from "bun:test";

import { type ApiServer, createApiServer } from "../helpers/api-server.ts";
import { createKubeStore, type KubeStore } from "../helpers/kube-store.ts";
import { testLeaseSource } from "../helpers/lease-source-suite.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["root", "peer:etcd", "peer:kubernetes"], "Node objects", () => {
  let server: ApiServer | undefined;
  beforeAll(async () => {
    server = await createApiServer();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  testLeaseSource("kubernetes", createStore, { handsOut: false });

  async function createStore(): Promise<KubeStore> {
    if (server === undefined) throw new Error("Cannot make a store: there is no API server");
    return await createKubeStore(server);
  }
});
