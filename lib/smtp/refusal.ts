/**
 * The words in which a client is refused. Pure.
 *
 * @module
 */

import type { DialogueOptions } from "./dialogue.ts";
import { cutText } from "./reply_text.ts";

/** What a client is told. The code is 451 in a dialogue, 421 in place of a banner. */
export interface Refusal {
  /**
   * The enhanced status code (RFC 3463): 4.7.1 for policy, 4.3.0 for a local
   * problem, 4.3.2 for a server that accepts nothing now.
   */
  readonly status: "4.7.1" | "4.3.0" | "4.3.2";
  /** Any text; it is cut to one printable line. */
  readonly text: string;
}

/** What a client is told if the check itself failed. */
export const LOCAL_PROBLEM: Refusal = {
  status: "4.3.0",
  text: "Temporary local problem, please try again later",
};

/** What a client is told at a limit (RFC 5321 section 3.8). */
export const BUSY: Refusal = {
  status: "4.3.2",
  text: "Too many connections, please try again later",
};

/** What a client is told when the program stops. */
export const STOPPING: Refusal = {
  status: "4.3.2",
  text: "Shutting down, please try again later",
};

/** The argument of the configuration's function `message`. */
export interface Deferral {
  /** How many seconds from now a retry is let in. */
  readonly seconds: number;
  /** The row of the verdict table. */
  readonly reason: "new" | "early" | "stale" | "expired";
  /** The client's address. */
  readonly ip: string;
}

/** The text of a deferral if the configuration gives none. */
export function defaultMessage({ seconds }: Deferral): string {
  return `Greylisted, please try again in ${seconds} seconds`;
}

/**
 * What a deferred client is told, in the words of the configuration.
 *
 * @param message the function of the configuration
 * @param failed called with the error if that function fails; then the text is
 * that of {@linkcode defaultMessage}
 */
export function deferralRefusal(
  message: (deferral: Deferral) => string,
  deferral: Deferral,
  failed: (error: unknown) => void,
): Refusal {
  try {
    const text = message(deferral);
    if (typeof text !== "string") throw new Error("expected a text");
    return { status: "4.7.1", text };
  } catch (error) {
    failed(error);
    return { status: "4.7.1", text: defaultMessage(deferral) };
  }
}

/** The line in place of a banner: 421, after which the server closes. */
export function bannerOf(refusal: Refusal): string {
  return `421 ${refusal.status} ${cutText(refusal.text)}\r\n`;
}

/**
 * The options of the dialogue in which RCPT and DATA are answered 451.
 *
 * @param hostname the name in the banner
 */
export function dialogueOptions(
  { status, text }: Refusal,
  hostname: string,
): DialogueOptions {
  return { hostname, deferral: `451 ${status} ${cutText(text)}` };
}
