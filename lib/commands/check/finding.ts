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

/** A finding that nothing is wrong. */
export const ok = (text: string): Finding => ({ kind: "ok", text });

/** A finding that only the administrator can judge. */
export const note = (text: string): Finding => ({ kind: "note", text });

/** A finding that works, and may be a mistake. */
export const warn = (text: string): Finding => ({ kind: "warn", text });

/** A finding that does not work. */
export const fix = (text: string): Finding => ({ kind: "fix", text });
