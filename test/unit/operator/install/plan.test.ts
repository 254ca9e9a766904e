import { expect, test } from "bun:test";

import { programNames } from "../../../../src/operator/install/layout.ts";
import { planInstall, planRemoval } from "../../../../src/operator/install/plan.ts";
import type { Present } from "../../../../src/operator/install/present.ts";

const none = { kind: "nothing" } as const;
const foreign = { kind: "foreign" } as const;
const current = { kind: "ours", current: true } as const;
const old = { kind: "ours", current: false } as const;

type Occupant = Present extends ReadonlyMap<string, infer Each> ? Each : never;

function presentWith(first: Occupant, others: Readonly<Record<string, Occupant>> = {}): Present {
  return new Map(programNames.map((name) => [name, others[name] ?? first]));
}

test("planInstall() puts two copies and four links into an empty directory, and nothing where all is current", () => {
  expect(planInstall(presentWith(none), [])).toEqual({
    copies: ["tartan", "flannel"],
    links: ["bridge", "host-local", "portmap", "loopback"],
    saved: [],
    broken: [],
    left: [],
  });
  expect(planInstall(presentWith(current), [])).toEqual({ copies: [], links: [], saved: [], broken: [], left: [] });
});

test("planInstall() takes flannel from anybody and the other names only when told", () => {
  const plan = planInstall(presentWith(none, { flannel: foreign, bridge: foreign, portmap: foreign }), []);
  expect(plan).toMatchObject({ copies: ["tartan", "flannel"], links: ["host-local", "loopback"], saved: ["flannel"] });
  expect(plan.left).toEqual(["bridge", "portmap"]);
  const told = planInstall(presentWith(foreign), ["bridge"]);
  expect(told.links).toEqual(["bridge"]);
  expect(told.saved).toEqual(["tartan", "bridge", "flannel"]);
  expect(told.left).toEqual(["host-local", "portmap", "loopback"]);
});

test("planInstall() takes a name from what nobody can execute, and keeps that", () => {
  const plan = planInstall(presentWith(current, { bridge: { kind: "broken", reason: "is not executable" } }), []);
  expect(plan).toMatchObject({ copies: [], links: ["bridge"], saved: ["bridge"], left: [] });
  expect(plan.broken).toEqual([{ name: "bridge", reason: "is not executable" }]);
});

test("planInstall() renews what is ours and old, without keeping it", () => {
  expect(planInstall(presentWith(current, { tartan: old, bridge: old }), [])).toEqual({
    copies: ["tartan"],
    links: ["bridge"],
    saved: [],
    broken: [],
    left: [],
  });
});

test("planInstall() refuses a name that no file can take", () => {
  expect(() => planInstall(presentWith(none, { loopback: { kind: "unusable" } }), [])).toThrow(
    'Cannot install "loopback": something that is no file has the name',
  );
});

test("planRemoval() takes out what is ours, the executable last, and leaves what is not", () => {
  const plan = planRemoval(presentWith(current, { bridge: foreign, loopback: none }), new Set());
  expect(plan).toEqual({
    removed: ["flannel", "portmap", "host-local", "tartan"],
    restored: [],
    dropped: [],
    left: ["bridge"],
  });
});

test("planRemoval() puts back what was kept, unless its owner has come back by itself", () => {
  const hidden = new Set([".bridge.tartan-saved", ".flannel.tartan-saved", ".tartan.tartan-new"]);
  const plan = planRemoval(presentWith(old, { flannel: foreign }), hidden);
  expect(plan.restored).toEqual(["bridge"]);
  expect(plan.removed).toEqual(["loopback", "portmap", "host-local", "tartan"]);
  expect(plan.dropped).toEqual([".flannel.tartan-saved", ".tartan.tartan-new"]);
  expect(plan.left).toEqual(["flannel"]);
});
