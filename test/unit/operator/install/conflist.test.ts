import { expect, test } from "bun:test";

import { readPluginTypes } from "../../../../src/operator/install/conflist.ts";

function list(plugins: unknown, members: object = {}): string {
  return JSON.stringify({ name: "cbr0", cniVersion: "1.0.0", plugins, ...members });
}

test("readPluginTypes() names the plugins of the stock list, and those that flannel calls by default", () => {
  const stock = list([{ type: "flannel", delegate: { hairpinMode: true } }, { type: "portmap" }]);
  expect(readPluginTypes(stock)).toEqual(["flannel", "bridge", "host-local", "portmap"]);
});

test("readPluginTypes() names delegates and IPAM plugins that are asked for", () => {
  const asked = list([{ type: "flannel", delegate: { type: "ptp" }, ipam: { type: "whereabouts" } }]);
  expect(readPluginTypes(asked)).toEqual(["flannel", "ptp", "whereabouts"]);
  expect(
    readPluginTypes(
      list([
        { type: "bridge", ipam: { type: "dhcp" } },
        { type: "bridge", ipam: {} },
      ]),
    ),
  ).toEqual(["bridge", "dhcp"]);
});

const refused: readonly (readonly [claim: string, text: string, wanted: string])[] = [
  ["no JSON", "{", "it is not JSON"],
  ["nothing", "", "it is not JSON"],
  ["a list", "[]", "it must be an object"],
  ["no name", list([{ type: "flannel" }], { name: "" }), 'no "name"'],
  ["a name with a blank", list([{ type: "flannel" }], { name: "a b" }), "characters that no runtime takes"],
  ["an unknown version", list([{ type: "flannel" }], { cniVersion: "9.9" }), 'cniVersion "9.9"'],
  ["a single plugin's configuration", '{"name":"x","type":"bridge"}', 'no "plugins"'],
  ["plugins that are no list", list({ type: "flannel" }), "must be a list"],
  ["no plugin", list([]), 'no "plugins"'],
  ["a plugin without type", list([{ ipam: {} }]), "plugins[0].type"],
  ["a type that is a number", list([{ type: 5 }]), "plugins[0].type"],
  ["a type that is a path", list([{ type: "../sh" }]), "plugins[0].type"],
  ["a delegate that is no object", list([{ type: "flannel", delegate: "bridge" }]), "plugins[0].delegate"],
];

test.each(refused)("readPluginTypes() refuses %s", (_claim, text, wanted) => {
  expect(() => readPluginTypes(text)).toThrow(wanted);
});
