import { expect, test } from "bun:test";

import { compileGoRegexp } from "../../../src/daemon/go-regexp.ts";

/** What Go 1.25's regexp says of each expression: the texts that it matches, and some that it does not. */
test.each<readonly [string, readonly string[], readonly string[]]>([
  ["^eth", ["eth0"], ["neth0"]],
  ["eth[[:digit:]]+$", ["eth0", "eth12"], ["ethd", "eth:"]],
  ["[[:^digit:]]", ["a"], ["0"]],
  ["[[:alpha:]-z]", ["-"], ["0"]],
  [String.raw`\Aeth0\z`, ["eth0"], ["eth0\n", "xeth0"]],
  [String.raw`^en\pN`, ["en1"], ["ens"]],
  [String.raw`^en\PN`, ["ens"], ["en1"]],
  [String.raw`\p{Greek}\p{^Lu}\P{Lu}`, ["αaa"], ["aaa", "αAa"]],
  [String.raw`\Qeth.0\E`, ["eth.0"], ["eth00"]],
  [String.raw`^\Qa+`, ["a+"], ["aa"]],
  ["(?P<x>en)s(?<y>\\d)", ["ens3"], ["ens"]],
  ["(?U)eth.*?0", ["eth0"], ["eth1"]],
  ["(?i)ETH", ["eth0"], ["et"]],
  ["(?s-i)a.b", ["a\nb"], ["A\nb"]],
  ["a.b", ["a\rb"], ["a\nb"]],
  ["x(?i)y|Z", ["xY", "z"], ["XY"]],
  ["(?:(?i)e)TH", ["ETH", "eTH"], ["eth"]],
  ["(?i-i)eth", ["eth"], ["ETH"]],
  ["[]a]", ["]", "a"], ["["]],
  ["[a-]", ["-", "a"], ["b"]],
  ["[a-b-c]", ["-", "b", "c"], ["d"]],
  [String.raw`[\d-z]`, ["-", "5", "z"], ["e"]],
  [String.raw`[^\W]`, ["_"], ["-"]],
  [String.raw`^\s$`, [" ", "\t"], ["\v", "\u00a0"]],
  ["a{,2}", ["a{,2}"], ["aa"]],
  ["^a{2}$", ["aa"], ["a", "aaa"]],
  ["^*a", ["a", "ba"], ["b"]],
  [String.raw`\x61\x{62}\143\07`, ["abc\u0007"], ["abc7"]],
  [String.raw`^\_\-\/\~$`, ["_-/~"], ["_-/"]],
  [String.raw`h\b.`, ["eth-"], ["eth0"]],
  ["[a&&b]", ["&", "a"], ["c"]],
  ["", ["anything"], []],
])("compileGoRegexp() makes of %j what matches the same", (text, matching, others) => {
  const regexp = compileGoRegexp(text);
  expect([...matching, ...others].filter((each) => regexp.test(each))).toEqual([...matching]);
});

test.each<readonly [string, string]>([
  ["eth(", "missing closing )"],
  ["eth)", "unexpected )"],
  ["[", "missing closing ]"],
  ["[[:foo:]]", "invalid character class range: `[:foo:]`"],
  ["[b-a]", "invalid character class range: `b-a`"],
  [String.raw`\p{Nope}`, "invalid character class range: `\\p{Nope}`"],
  ["(?=a)", "invalid or unsupported Perl syntax: `(?=`"],
  ["(?<!a)", "invalid or unsupported Perl syntax: `(?<!`"],
  ["(?x)a", "invalid or unsupported Perl syntax: `(?x`"],
  [String.raw`(a)\1`, "invalid escape sequence: `\\1`"],
  [String.raw`\Z`, "invalid escape sequence: `\\Z`"],
  [String.raw`\k<x>`, "invalid escape sequence: `\\k`"],
  ["\\", "trailing backslash at end of expression"],
  ["a{1001}", "invalid repeat count: `{1001}`"],
  ["a**", "nothing to repeat"],
])("compileGoRegexp() refuses %j, as Go does", (text, message) => {
  expect(() => compileGoRegexp(text)).toThrow(message);
});
