/**
 * What a look at the installation has found.
 *
 * @module
 */

/**
 * `ok`: it is as it should be. `note`: what the administrator has to know and
 * only the administrator can see. `warn`: it works, and may be a mistake. `fix`:
 * it does not work.
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
