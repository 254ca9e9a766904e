/** Classes of characters as Go's regular expressions name them, for JavaScript's. */

/** Code points, both ends included. */
type Range = readonly [first: number, last: number];

export const lastCodePoint = 0x10_ff_ff;

const digit: readonly Range[] = [[0x30, 0x39]];
const upper: readonly Range[] = [[0x41, 0x5a]];
const lower: readonly Range[] = [[0x61, 0x7a]];
const word: readonly Range[] = [...digit, ...upper, [0x5f, 0x5f], ...lower];

/** `[[:name:]]`; all of them ASCII. */
const posixRanges: Readonly<Record<string, readonly Range[]>> = {
  alnum: [...digit, ...upper, ...lower],
  alpha: [...upper, ...lower],
  ascii: [[0, 0x7f]],
  blank: [
    [0x09, 0x09],
    [0x20, 0x20],
  ],
  cntrl: [
    [0, 0x1f],
    [0x7f, 0x7f],
  ],
  digit,
  graph: [[0x21, 0x7e]],
  lower,
  print: [[0x20, 0x7e]],
  punct: [
    [0x21, 0x2f],
    [0x3a, 0x40],
    [0x5b, 0x60],
    [0x7b, 0x7e],
  ],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
  ],
  upper,
  word,
  xdigit: [...digit, [0x41, 0x46], [0x61, 0x66]],
};

/** `\d`, `\s`, `\w`: ASCII as well, and `\s` without the vertical tab. */
const perlRanges: Readonly<Record<string, readonly Range[]>> = {
  d: digit,
  s: [
    [0x09, 0x0a],
    [0x0c, 0x0d],
    [0x20, 0x20],
  ],
  w: word,
};

/** The content of a class for `[:name:]`, or for all but that; undefined where there is none of the name. */
export function posixClass(name: string, negated: boolean): string | undefined {
  const ranges = Object.hasOwn(posixRanges, name) ? posixRanges[name] : undefined;
  return ranges === undefined ? undefined : rangesText(negated ? complement(ranges) : ranges);
}

/** The content of a class for what a backslash and one of `dswDSW` stand for. */
export function perlClass(letter: string): string {
  const ranges = perlRanges[letter.toLowerCase()] ?? [];
  return rangesText(letter === letter.toLowerCase() ? ranges : complement(ranges));
}

/** A text as an expression for itself. */
export function quoteText(text: string): string {
  return Array.from(text, (char) => quoteCodePoint(codePointOf(char))).join("");
}

/** One character for itself; letters and digits as they are, so that what is made can be read. */
export function quoteCodePoint(point: number): string {
  const char = String.fromCodePoint(point);
  return /^[\dA-Za-z]$/.test(char) ? char : `\\u{${point.toString(16)}}`;
}

/** Of a text of one character. */
export function codePointOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}

function rangesText(ranges: readonly Range[]): string {
  return ranges.map(([first, last]) => `${quoteCodePoint(first)}-${quoteCodePoint(last)}`).join("");
}

function complement(ranges: readonly Range[]): readonly Range[] {
  const starts = [0, ...ranges.map(([, last]) => last + 1)];
  const ends = [...ranges.map(([first]) => first - 1), lastCodePoint];
  return starts.flatMap((start, index): readonly Range[] => {
    const end = ends[index] ?? lastCodePoint;
    return start <= end ? [[start, end]] : [];
  });
}
