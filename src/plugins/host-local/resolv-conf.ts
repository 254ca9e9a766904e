import type { CniDns } from "../../cni/result.ts";

/** Reads resolv.conf(5) as the reference does: lists grow from line to line, of several domains the last holds. */
export function parseResolvConf(text: string): CniDns {
  const nameservers: string[] = [];
  const search: string[] = [];
  const options: string[] = [];
  let domain: string | undefined;
  for (const line of text.split("\n")) {
    const [keyword, first, ...more] = line.trim().split(/\s+/);
    if (keyword === undefined || first === undefined || /^[#;]/.test(keyword)) continue;
    if (keyword === "nameserver") nameservers.push(first);
    else if (keyword === "domain") domain = first;
    else if (keyword === "search") search.push(first, ...more);
    else if (keyword === "options") options.push(first, ...more);
  }
  return { nameservers, domain, search, options };
}
