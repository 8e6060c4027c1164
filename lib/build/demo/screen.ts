/**
 * How the demo shows what happens, and how it says that something was wrong.
 * Pure.
 *
 * @module
 */

/** Where the replies begin. */
const COLUMN = 27;
/** The width of the screen. */
const WIDTH = 80;

/**
 * One command, or the lines of a message, and beside it the reply, if there is
 * room.
 *
 * @param command undefined for the banner, which comes unasked
 * @param reply undefined if none came
 */
export function exchange(
  command: string | undefined,
  reply: string | undefined,
): string[] {
  const sent = command?.split("\n").map((line) => `> ${line}`.trimEnd()) ??
    [""];
  const answer = reply === undefined ? "(no reply)" : `< ${reply}`;
  const last = sent.pop()!;
  if (last.length >= COLUMN || COLUMN + answer.length > WIDTH) {
    return [...sent, ...(last === "" ? [] : [last]), answer];
  }
  return [...sent, last.padEnd(COLUMN) + answer];
}

/** A line behind a label, broken at spaces if it is too wide. */
export function labelled(label: string, line: string): string[] {
  const lines: string[] = [];
  let current = label;
  for (const word of line.split(" ")) {
    if (`${current} ${word}`.length > WIDTH) {
      lines.push(current);
      current = " ".repeat(label.length);
    }
    current += ` ${word}`;
  }
  return [...lines, current];
}

/** The verdict and the reason in a log line: `defer new`. */
export function verdictOf(line: string): string {
  const match = /^(\S+) (?:.* )?reason=(\S+)/.exec(line);
  return match === null ? line : `${match[1]} ${match[2]}`;
}

/**
 * Compares what was seen with what should have been.
 *
 * @returns one line that says what differs; undefined if nothing does
 */
export function difference(
  what: string,
  seen: string | number | undefined,
  expected: string | number | undefined,
): string | undefined {
  if (seen === expected) return undefined;
  return `${what}: ${seen ?? "none"}: expected ${expected ?? "none"}`;
}
