/**
 * Go's regular expressions (regexp/syntax, which are RE2's), as far as it matters whether a text matches: groups capture
 * nothing here, and it is the same whether a repetition is greedy.
 */

import { codePointOf, lastCodePoint, perlClass, posixClass, quoteCodePoint, quoteText } from "./go-regexp-class.ts";

/** Makes a RegExp that matches the same texts. Throws an Error with Go's words for what Go refuses. */
export function compileGoRegexp(text: string): RegExp {
  return new RegExp(new Translator(text).translate(), "u");
}

const largestRepeat = 1000;

const controls: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
/** In a group each, since Go takes a repetition of them. */
const assertions: Readonly<Record<string, string>> = {
  A: String.raw`(?<![\s\S])`,
  z: String.raw`(?![\s\S])`,
  b: String.raw`\b`,
  B: String.raw`\B`,
  "^": "^",
  $: "$",
};

/** A group that is open, or the whole expression. */
interface Group {
  /** What of JavaScript's groups flags within it have opened, to be opened again in each alternative. */
  readonly opened: string[];
  /** Whether a dot matches the end of a line; flags within the group do not outlast it. */
  dotAll: boolean;
}

class Translator {
  readonly #text: string;
  #offset = 0;
  #output = "";
  readonly #groups: Group[] = [{ opened: [], dotAll: false }];

  constructor(text: string) {
    this.#text = text;
  }

  translate(): string {
    while (this.#offset < this.#text.length) this.#translateNext();
    if (this.#groups.length > 1) throw new Error("missing closing )");
    this.#closeFlags(this.#group);
    return this.#output;
  }

  get #group(): Group {
    const group = this.#groups.at(-1);
    if (group === undefined) throw new Error("unexpected )");
    return group;
  }

  #translateNext(): void {
    if (this.#take(/\\Q([^]*?)(?:\\E|$)/y, ([, quoted = ""]) => quoteText(quoted))) return;
    if (this.#take(/\{(\d+)(?:,(\d*))?\}/y, ([all, ...counts]) => checkRepeat(all, counts))) return;
    const char = this.#read();
    switch (char) {
      case "(":
        this.#openGroup();
        break;
      case ")":
        this.#closeGroup();
        break;
      case "|":
        this.#closeFlags(this.#group);
        this.#output += `|${this.#group.opened.join("")}`;
        break;
      case "[":
        this.#output += this.#readClass();
        break;
      case ".":
        this.#output += this.#group.dotAll ? String.raw`[\s\S]` : String.raw`[^\n]`;
        break;
      case "\\":
        this.#output += this.#readEscape();
        break;
      case "^":
      case "$":
        this.#output += `(?:${assertions[char]})`;
        break;
      case "*":
      case "+":
      case "?":
        this.#output += char;
        break;
      default:
        this.#output += quoteText(char);
    }
  }

  #openGroup(): void {
    const { dotAll } = this.#group;
    if (this.#text[this.#offset] !== "?" || this.#take(/\?P?<\w+>/y, () => "")) {
      this.#groups.push({ opened: [], dotAll });
      this.#output += "(?:";
      return;
    }
    const [all, set = "", unset = "", end] = this.#match(/\?([imsU]*)(?:-([imsU]+))?([:)])/y) ?? [];
    if (all === undefined) {
      const rest = this.#text.slice(this.#offset - 1);
      throw new Error(
        `invalid or unsupported Perl syntax: \`${/^\(\?(?:<?[=!]|P?<?[^)]{0,9})/.exec(rest)?.[0] ?? rest}\``,
      );
    }
    const group = end === ":" ? { opened: [], dotAll } : this.#group;
    const opening = openingOf(set, unset);
    if (set.includes("s")) group.dotAll = true;
    if (unset.includes("s")) group.dotAll = false;
    this.#output += opening;
    if (end === ":") this.#groups.push(group);
    else group.opened.push(opening);
  }

  #closeGroup(): void {
    if (this.#groups.length === 1) throw new Error("unexpected )");
    this.#closeFlags(this.#group);
    this.#groups.pop();
    this.#output += ")";
  }

  #closeFlags({ opened }: Group): void {
    this.#output += ")".repeat(opened.length);
  }

  /** After a backslash, outside a class. */
  #readEscape(): string {
    const set = this.#readSet();
    if (set !== undefined) return `[${set}]`;
    const [name] = this.#match(/[AzbB]/y) ?? [];
    return name === undefined ? quoteCodePoint(this.#readCodePoint()) : `(?:${assertions[name]})`;
  }

  /** After the opening bracket. */
  #readClass(): string {
    const negated = this.#take(/\^/y, () => "") ? "^" : "";
    let content = "";
    for (let first = true; ; first = false) {
      if (this.#offset >= this.#text.length) throw new Error("missing closing ]");
      if (!first && this.#take(/\]/y, () => "")) return `[${negated}${content}]`;
      content += this.#readClassItem();
    }
  }

  #readClassItem(): string {
    const [posix, not, name = ""] = this.#match(/\[:(\^?)(\w+):\]/y) ?? [];
    if (posix !== undefined) {
      const content = posixClass(name, not === "^");
      if (content === undefined) throw new Error(`invalid character class range: \`${posix}\``);
      return content;
    }
    const begin = this.#offset;
    const first = this.#readClassChar();
    if (typeof first === "string") return first;
    if (this.#match(/-(?=[^\]])/y) === undefined) return quoteCodePoint(first);
    const last = this.#readClassChar();
    if (typeof last === "string" || last < first) {
      throw new Error(`invalid character class range: \`${this.#text.slice(begin, this.#offset)}\``);
    }
    return `${quoteCodePoint(first)}-${quoteCodePoint(last)}`;
  }

  /** A code point, or the content of a class that stands for several. */
  #readClassChar(): number | string {
    const char = this.#read();
    if (char !== "\\") return codePointOf(char);
    return this.#readSet() ?? this.#readCodePoint();
  }

  /** After a backslash, what stands for several characters, as the content of a class; undefined for anything else. */
  #readSet(): string | undefined {
    const [perl] = this.#match(/[dswDSW]/y) ?? [];
    if (perl !== undefined) return perlClass(perl);
    const [all, letter, brief, negation, long] = this.#match(/([pP])(?:([A-Z])|\{(\^?)(\w+)\})/y) ?? [];
    if (all === undefined) return undefined;
    const name = brief ?? long ?? "";
    const property = name.length <= 2 || name === "Any" ? name : `Script=${name}`;
    const text = `\\${(letter === "P") === (negation === "^") ? "p" : "P"}{${property}}`;
    if (!isProperty(text)) throw new Error(`invalid character class range: \`\\${all}\``);
    return text;
  }

  /** After a backslash, what stands for one character. */
  #readCodePoint(): number {
    const [hex, brief, long] = this.#match(/x(?:([\da-f]{2})|\{([\da-f]+)\})/iy) ?? [];
    const [octal] = this.#match(/0[0-7]{0,2}|[1-7][0-7]{1,2}/y) ?? [];
    const point = hex === undefined ? Number.parseInt(octal ?? "", 8) : Number.parseInt(brief ?? long ?? "", 16);
    if (point <= lastCodePoint) return point;
    if (hex !== undefined) throw new Error(`invalid escape sequence: \`\\${hex}\``);
    const char = this.#read("trailing backslash at end of expression");
    const control = Object.hasOwn(controls, char) ? controls[char] : undefined;
    if (control !== undefined) return control;
    if (/^[!-/:-@[-`{-~]$/.test(char)) return codePointOf(char);
    throw new Error(`invalid escape sequence: \`\\${char}\``);
  }

  #read(problem = "missing closing ]"): string {
    const point = this.#text.codePointAt(this.#offset);
    if (point === undefined) throw new Error(problem);
    const char = String.fromCodePoint(point);
    this.#offset += char.length;
    return char;
  }

  /** Goes on behind what matches here. */
  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text) ?? undefined;
    if (found !== undefined) this.#offset += found[0].length;
    return found;
  }

  #take(pattern: RegExp, translate: (found: RegExpExecArray) => string): boolean {
    const found = this.#match(pattern);
    if (found === undefined) return false;
    this.#output += translate(found);
    return true;
  }
}

/** Flags that JavaScript has for a part of an expression; `s` and `U` are not needed there. What is set and unset is unset. */
function openingOf(set: string, unset: string): string {
  const known = ["i", "m"];
  const off = known.filter((letter) => unset.includes(letter));
  const on = known.filter((letter) => set.includes(letter) && !off.includes(letter));
  return `(?${on.join("")}${off.length === 0 ? "" : `-${off.join("")}`}:`;
}

function checkRepeat(text: string, counts: readonly (string | undefined)[]): string {
  const [least = 0, most = least] = counts.filter(Boolean).map(Number);
  if (least > largestRepeat || most > largestRepeat || most < least) {
    throw new Error(`invalid repeat count: \`${text}\``);
  }
  return text;
}

function isProperty(text: string): boolean {
  try {
    return new RegExp(text, "u").unicode;
  } catch {
    return false;
  }
}
