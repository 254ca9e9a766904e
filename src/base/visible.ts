/** A text in one line, whose control characters are shown, not sent to a terminal: it may come from somebody else. */
export function visibleText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, visibleCharacter);
}

function visibleCharacter(character: string): string {
  return character === "\n" ? "\\n" : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
