import { expect, test } from "bun:test";

import { parseInstallOptions } from "../../../../src/operator/install/options.ts";

const defaults = {
  kind: "install",
  part: "all",
  conflist: "/etc/kube-flannel/cni-conf.json",
  binDirectory: "/opt/cni/bin",
  netDirectory: "/etc/cni/net.d",
  replace: [],
  hostRoot: undefined,
} as const;

test("parseInstallOptions() has upstream's places as defaults", () => {
  expect(parseInstallOptions([])).toEqual(defaults);
});

test("parseInstallOptions() takes values behind a blank or an equals sign", () => {
  const words = ["--only=conflist", "--conflist", "/c", "--bin-dir=/b", "--net-dir", "/n", "--host-root=/host"];
  const wanted = { conflist: "/c", binDirectory: "/b", netDirectory: "/n", hostRoot: "/host" };
  expect(parseInstallOptions(words)).toEqual({ ...defaults, part: "conflist", ...wanted });
  expect(parseInstallOptions(["--replace", "bridge,loopback"])).toEqual({
    ...defaults,
    replace: ["bridge", "loopback"],
  });
  const all = ["bridge", "host-local", "portmap", "loopback", "flannel"];
  expect(parseInstallOptions(["--replace=all"])).toEqual({ ...defaults, replace: all });
  expect(parseInstallOptions(["--uninstall", "--bin-dir=/b"])).toEqual({
    kind: "uninstall",
    binDirectory: "/b",
    netDirectory: "/etc/cni/net.d",
  });
  expect(parseInstallOptions(["--bin-dir", "/b", "--help"])).toEqual({ kind: "help" });
});

const refused: readonly (readonly [words: readonly string[], wanted: string])[] = [
  [["--force"], 'unknown option "--force"'],
  [["bridge"], 'unknown argument "bridge"'],
  [["--bin-dir"], 'option "--bin-dir" needs a value'],
  [["--bin-dir="], 'option "--bin-dir" needs a value'],
  [["--only", "links"], 'option "--only" is "links"'],
  [["--replace", "bridge,tartan"], 'option "--replace" names "tartan"'],
  [["--uninstall", "--conflist=/c"], 'option "--conflist" does not go with "--uninstall"'],
];

test.each(refused)("parseInstallOptions() refuses %j", (words, wanted) => {
  expect(() => parseInstallOptions(words)).toThrow(wanted);
});
