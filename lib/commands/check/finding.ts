/**
 * The findings of `greylist check`.
 *
 * @module
 */

import { counted } from "../../report/format.ts";

/**
 * `ok`: nothing is wrong. `note`: something that only the administrator can judge.
 * `warn`: works, and may be a mistake. `fix`: does not work.
 */
export type Kind = "ok" | "note" | "warn" | "fix";

/** One line of the output. */
export interface Finding {
  readonly kind: Kind;
  readonly text: string;
}

/** A finding that nothing is wrong. */
export const ok = (text: string): Finding => ({ kind: "ok", text });

/** A finding that only the administrator can judge. */
export const note = (text: string): Finding => ({ kind: "note", text });

/** A finding that works, and may be a mistake. */
export const warn = (text: string): Finding => ({ kind: "warn", text });

/** A finding that does not work. */
export const fix = (text: string): Finding => ({ kind: "fix", text });

/**
 * One warning about all that are probably a mistake in the same way, with the first as
 * the example; none if there are none.
 *
 * @param noun what each of them is
 * @param mistakes the place of each, and what it does
 */
export function doubt(noun: string, mistakes: readonly string[]): Finding[] {
  if (mistakes.length === 0) return [];
  const all = `${counted(mistakes.length, noun)} like that in all`;
  return [warn(`${mistakes[0]}: is that meant? (${all})`)];
}
