/** Real API servers that are not as the source would like them: without lists as watches, and with an older store. */
import { expect, test } from "bun:test";

import { createApiServer } from "../helpers/api-server.ts";
import { createKubeStore } from "../helpers/kube-store.ts";
import { describeState, hasLeases, leaseText, startSource, staleReason, usualConfig } from "../helpers/lease-store.ts";
import { describeWith } from "../helpers/require.ts";
import { waitUntil } from "../helpers/wait-until.ts";

await describeWith(["root", "peer:etcd", "peer:kubernetes"], "KubeLeaseSource", () => {
  test("lists in pages where the API server does not list as a watch, and follows the watch behind them", async () => {
    await using server = await createApiServer({ flags: ["--feature-gates=WatchList=false"] });
    await using store = await createKubeStore(server);
    await store.writeConfig(usualConfig);
    // More than one page.
    const keys = Array.from({ length: 520 }, (_, index) => `10.244.${index >> 4}.${(index & 15) * 16}-28`);
    await Promise.all(
      keys.map((key) => store.createNode(key, key.replace("-", "/"), store.annotationsOf(leaseText("1.1.1.1")))),
    );
    const lines: string[] = [];
    using source = await startSource(store.open((line) => lines.push(line)));
    expect(describeState(source.state())).toHaveLength(520);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^Kubernetes does not list the nodes as the beginning of a watch, .*: the API server answers 422 /,
    );
    await store.removeLease(keys[0] ?? "");
    await waitUntil("the deletion is seen", () => describeState(source.state()).length === 519);
    expect(staleReason(source)).toBeUndefined();
  });

  test("sees what an older store says after etcd was restored, and what happens then", async () => {
    await using server = await createApiServer();
    await using store = await createKubeStore(server);
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
    await server.stop();
    await server.copyStore("etcd", "backup");
    await server.start();
    await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
    await store.removeLease("10.244.1.0-24");
    // So that the version of before is far ahead of the one that is restored.
    for (let count = 0; count < 50; count++) await store.annotate("self-1", { "example.com/count": String(count) });
    using source = await startSource(store.open());
    await hasLeases(source, "10.244.2.0-24 2.2.2.2");
    await server.stop("SIGKILL");
    await server.copyStore("backup", "etcd");
    await server.start();
    await waitUntil("the source follows again", () => staleReason(source) === undefined, 40_000);
    await hasLeases(source, "10.244.1.0-24 1.1.1.1");
    await store.writeLease("10.244.3.0-24", leaseText("3.3.3.3"));
    await hasLeases(source, "10.244.1.0-24 1.1.1.1", "10.244.3.0-24 3.3.3.3");
  });
});
