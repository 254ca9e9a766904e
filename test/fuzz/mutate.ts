/** Changes to a configuration: as JSON, so that they get past the parser, and as text. */
import { isJsonObject, type Json, type JsonObject } from "../../src/base/decode.ts";
import { keys, texts, values } from "./dictionary.ts";
import type { Random } from "./random.ts";

/** A value with one to four changes anywhere in it. */
export function mutateJson(random: Random, json: Json): Json {
  let changed = json;
  // Most have one, so that what lies behind the first error is reached as well.
  for (let count = random.chance(0.6) ? 1 : 1 + random.below(4); count > 0; count--)
    changed = changeSomewhere(random, changed);
  return changed;
}

/** A text with a few characters changed, lost, doubled or put in. */
export function mutateText(random: Random, text: string): string {
  let changed = text;
  for (let count = 1 + random.below(3); count > 0; count--) changed = changeText(random, changed);
  return changed;
}

function changeSomewhere(random: Random, json: Json): Json {
  const members = membersOf(json);
  // The deeper, the more there is to change.
  if (members.length === 0 || random.chance(0.15)) return changeHere(random, json);
  const at = random.pick(members);
  return withMember(json, at, (member) => changeSomewhere(random, member));
}

function changeHere(random: Random, json: Json): Json {
  if (random.chance(0.4)) return random.pick(values);
  if (isJsonObject(json)) return changeObject(random, json);
  if (isList(json)) return changeList(random, json);
  if (typeof json === "string") return random.chance(0.5) ? random.pick(texts) : mutateText(random, json);
  if (typeof json === "number") return random.pick([json + 1, json - 1, -json, json * 1000, json + 0.5, String(json)]);
  return random.pick(values);
}

function changeObject(random: Random, object: JsonObject): Json {
  const entries = Object.entries(object);
  const at = random.below(entries.length);
  switch (random.below(5)) {
    case 0:
      return Object.fromEntries(entries.filter((_entry, index) => index !== at));
    case 1:
      return Object.fromEntries(
        entries.map(([key, value], index) => [index === at ? rename(random, key) : key, value]),
      );
    case 2:
      return Object.fromEntries(
        entries.flatMap((entry, index) => (index === at ? [entry, twin(random, entry)] : [entry])),
      );
    case 3:
      return [object];
    default:
      return Object.fromEntries([...entries, [random.pick(keys), random.pick(values)]]);
  }
}

/** The same value under another key. */
function twin(random: Random, [key, value]: readonly [string, Json]): [string, Json] {
  return [rename(random, key), value];
}

function changeList(random: Random, list: readonly Json[]): Json {
  const at = random.below(list.length);
  switch (random.below(4)) {
    case 0:
      return list.filter((_item, index) => index !== at);
    case 1:
      return [...list, ...list];
    case 2:
      return { 0: [...list] };
    default:
      return [...list, random.pick(values)];
  }
}

function rename(random: Random, key: string): string {
  return random.pick([key.toUpperCase(), key.toLowerCase(), `${key} `, key.slice(1), random.pick(keys)]);
}

function changeText(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  const end = at + random.below(8);
  const wild = String.fromCharCode(random.below(random.chance(0.8) ? 128 : 65_536));
  switch (random.below(5)) {
    case 0:
      return text.slice(0, at) + text.slice(end);
    case 1:
      return text.slice(0, at) + wild + text.slice(at + 1);
    case 2:
      return text.slice(0, end) + text.slice(at);
    case 3:
      return (
        text.slice(0, at) +
        random.pick(['"', "{", "}", "[", "]", ",", ":", "\\", "null", "1e999", "=", "\n", "\0"]) +
        text.slice(at)
      );
    default:
      return random.chance(0.05) ? "[".repeat(200_000) : text.slice(0, at);
  }
}

/** The keys or places of what a value holds. */
function membersOf(json: Json): readonly (string | number)[] {
  if (isJsonObject(json)) return Object.keys(json);
  return isList(json) ? [...json.keys()] : [];
}

function withMember(json: Json, at: string | number, change: (member: Json) => Json): Json {
  if (isJsonObject(json)) {
    return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, key === at ? change(value) : value]));
  }
  return isList(json) ? json.map((item, index) => (index === at ? change(item) : item)) : change(json);
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}
