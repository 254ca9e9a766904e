import { expect, test } from "bun:test";

import { parseResolvConf } from "../../../../src/plugins/host-local/resolv-conf.ts";

test("parseResolvConf() collects lists from line to line and takes the last domain", () => {
  const lines = [
    "nameserver 192.0.2.0",
    "\tnameserver\t2001:db8::1  # not the second word",
    "domain first.example",
    "domain example.net",
    "search example.com example.org",
    "search other.example",
    "options edns0 ndots:5",
    "options rotate",
  ];
  expect(parseResolvConf(`${lines.join("\r\n")}\n`)).toEqual({
    nameservers: ["192.0.2.0", "2001:db8::1"],
    domain: "example.net",
    search: ["example.com", "example.org", "other.example"],
    options: ["edns0", "ndots:5", "rotate"],
  });
});

test("parseResolvConf() passes over comments, empty lines, lone words and what it does not know", () => {
  const text =
    "# nameserver 192.0.2.1\n;nameserver 192.0.2.2\n  # search x\n\nnameserver\nsortlist 1.2.3.4\nnameserverx 1\n";
  expect(parseResolvConf(text)).toEqual({ nameservers: [], domain: undefined, search: [], options: [] });
  expect(parseResolvConf("")).toEqual({ nameservers: [], domain: undefined, search: [], options: [] });
});
