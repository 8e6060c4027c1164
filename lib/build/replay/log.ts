/**
 * The log of a replay, stamped with the times of the play.
 *
 * @module
 */

/** When the play begins, in milliseconds since 1970. */
const START = Date.UTC(2026, 0, 1);

/** An attempt of a client. */
export interface Attempt {
  /** When it really began, in milliseconds since 1970. */
  readonly began: number;
  /** The time of the play, in seconds since its beginning. */
  readonly time: number;
}

/**
 * Gives each line the time of the play that its attempt had.
 *
 * @param text the lines of a log file, each behind the time at which it was
 * written
 * @param attempts in the order in which they were made, one after the other
 */
export function restamp(text: string, attempts: readonly Attempt[]): string {
  let current = -1;
  return text.split("\n").slice(0, -1).map((line) => {
    const space = line.indexOf(" ");
    const written = Date.parse(line.slice(0, space));
    while (attempts[current + 1]?.began <= written) current++;
    const { began, time } = attempts[current] ?? { began: written, time: 0 };
    const stamp = new Date(START + time * 1000 + written - began);
    return `${stamp.toISOString()}${line.slice(space)}\n`;
  }).join("");
}
