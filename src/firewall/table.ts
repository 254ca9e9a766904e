/** A table of ours as data: what is wanted, what is present, and the requests that make the one of the other. */
import type { Request } from "../netlink/message.ts";
import { findChain, findTable, type FoundChain, type FoundRule, listRules } from "../netlink/nftables-dump.ts";
import { type Expression, expressionText } from "../netlink/nftables-expression.ts";
import {
  addChain,
  addRule,
  addTable,
  type ChainHook,
  deleteChain,
  deleteTable,
  flushChain,
  hooksEqual,
  type Table,
  tableText,
} from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";

/** Marks each rule of ours: upstream, which keeps a table that it finds, does not write it. */
const ruleComment = "tartan";

/** A base chain of a table of ours with its rules. */
export interface ChainPlan {
  readonly name: string;
  readonly hook: ChainHook;
  readonly rules: readonly (readonly Expression[])[];
}

/** A table of ours as it is to be; without chains there is to be none. */
export interface TablePlan {
  readonly table: Table;
  readonly comment: string;
  readonly chains: readonly ChainPlan[];
  /** The chains that it has at other times: they are looked for, and removed. */
  readonly otherChains: readonly string[];
  /** Where no chain is wanted: true to leave a table that is not marked as ours, such as one of upstream's nft mode. */
  readonly leaveForeign: boolean;
}

/** A table as it is, undefined when there is none; of its chains those that the plan names. */
export interface PresentTable {
  readonly flags: number;
  /** How many chains, sets and other objects it has, those that the plan does not name among them. */
  readonly use: number;
  readonly chains: readonly FoundChain[];
  readonly rules: readonly FoundRule[];
}

/** What is not as planned, for people, and the requests that put all of it right. */
export interface Repair {
  readonly problems: readonly string[];
  readonly requests: readonly Request[];
}

/** Reads the table that a plan is about. */
export function readTable(socket: NetlinkSocket, plan: TablePlan): PresentTable | undefined {
  const { table } = plan;
  const found = findTable(socket, table);
  if (found === undefined) return undefined;
  const names = [...plan.chains.map(({ name }) => name), ...plan.otherChains];
  return {
    flags: found.flags,
    use: found.use,
    chains: names.flatMap((name) => findChain(socket, table, name) ?? []),
    rules: listRules(socket, table),
  };
}

/**
 * Compares. A chain whose rules are others is emptied and filled in one transaction, which no packet can see half done. A
 * table that is more than its rules off is made anew, in one transaction as well.
 */
export function planRepair(present: PresentTable | undefined, plan: TablePlan): Repair {
  const name = `table ${tableText(plan.table)}`;
  if (present === undefined) {
    return plan.chains.length === 0
      ? { problems: [], requests: [] }
      : { problems: [`${name} missing`], requests: makeTable(plan) };
  }
  if (plan.chains.length === 0) return planRemoval(present, plan);
  if (present.flags !== 0) return remake(plan, `${name} dormant or owned`);
  if (present.use !== present.chains.length) return remake(plan, `${name} with foreign objects`);
  const repairs: Repair[] = [];
  for (const chain of plan.chains) {
    const found = present.chains.find((one) => one.name === chain.name);
    if (found !== undefined && !hooksEqual(found.hook, chain.hook)) {
      return remake(plan, `${name}: chain ${chain.name} with another hook`);
    }
    repairs.push(planChain(present, plan, chain, found !== undefined));
  }
  for (const chain of present.chains.filter((one) => plan.otherChains.includes(one.name))) {
    repairs.push({
      problems: [`${name}: chain ${chain.name} not wanted`],
      requests: [flushChain(plan.table, chain.name), deleteChain(plan.table, chain.name)],
    });
  }
  return {
    problems: repairs.flatMap(({ problems }) => problems),
    requests: repairs.flatMap(({ requests }) => requests),
  };
}

function planRemoval({ rules }: PresentTable, { table, leaveForeign }: TablePlan): Repair {
  const foreign = rules.length > 0 && !rules.some(({ comment }) => comment === ruleComment);
  if (foreign && leaveForeign) return { problems: [], requests: [] };
  return { problems: [`table ${tableText(table)} not wanted`], requests: [deleteTable(table)] };
}

/** A plan in lines that read like nft's. */
export function planLines({ table, chains }: TablePlan): readonly string[] {
  return chains.flatMap(({ name, hook, rules }) => [
    `${tableText(table)} ${name}: ${hook.type} hook ${hook.number} priority ${hook.priority} policy ${hook.policy}`,
    ...rules.map((rule) => `${tableText(table)} ${name}: ${ruleText(rule)}`),
  ]);
}

function planChain(present: PresentTable, plan: TablePlan, chain: ChainPlan, exists: boolean): Repair {
  const name = `table ${tableText(plan.table)}: chain ${chain.name}`;
  if (!exists) return { problems: [`${name} missing`], requests: makeChain(plan, chain) };
  const wanted = chain.rules.map(ruleText);
  const found = present.rules
    .filter((rule) => rule.chain === chain.name)
    .map((rule) => (rule.comment === ruleComment ? ruleText(rule.expressions) : "not ours"));
  if (wanted.length === found.length && wanted.every((text, index) => text === found[index])) {
    return { problems: [], requests: [] };
  }
  const requests = [flushChain(plan.table, chain.name), ...makeRules(plan, chain)];
  return { problems: [`${name} with other rules`], requests };
}

function remake(plan: TablePlan, problem: string): Repair {
  return { problems: [problem], requests: [deleteTable(plan.table), ...makeTable(plan)] };
}

function makeTable(plan: TablePlan): readonly Request[] {
  return [addTable(plan.table, plan.comment), ...plan.chains.flatMap((chain) => makeChain(plan, chain))];
}

function makeChain(plan: TablePlan, chain: ChainPlan): readonly Request[] {
  const { name, hook } = chain;
  return [addChain({ table: plan.table, name, hook }), ...makeRules(plan, chain)];
}

function makeRules({ table }: TablePlan, { name, rules }: ChainPlan): readonly Request[] {
  return rules.map((expressions) => addRule({ table, chain: name, expressions, comment: ruleComment }));
}

function ruleText(expressions: readonly Expression[]): string {
  return expressions.map(expressionText).join("; ");
}
