/**
 * The findings of `greylist check`.
 *
 * @module
 */

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

export const ok = (text: string): Finding => ({ kind: "ok", text });
export const note = (text: string): Finding => ({ kind: "note", text });
export const warn = (text: string): Finding => ({ kind: "warn", text });
export const fix = (text: string): Finding => ({ kind: "fix", text });
