/**
 * Turns a client away, as the configuration says: after RCPT, or in the banner.
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import { converse, sayOnce } from "./conversation.ts";
import { Dialogue, type DialogueOptions } from "./dialogue.ts";
import { cutText } from "./reply_text.ts";
import { escapeValue } from "../log/line.ts";
import type { Environment } from "../peer.ts";
import { readRegularFile } from "../system/file.ts";

/** What a client is told; the code is 451 where it may speak first, else 421. */
export interface Refusal {
  /**
   * The enhanced status code (RFC 3463): 4.7.1 for policy, 4.3.0 for trouble,
   * 4.3.2 for the wrong moment.
   */
  readonly status: "4.7.1" | "4.3.0" | "4.3.2";
  /** Any text; it is cut to one printable line. */
  readonly text: string;
}

/** What the client said in the meantime, safe for a log line. */
export interface Told {
  readonly helo?: string;
  readonly from?: string;
  readonly to?: string;
}

/** Answers 421 in place of a banner and hangs up. */
export function refuseInBanner(refusal: Refusal, timeout: number): void {
  sayOnce(bannerOf(refusal), timeout);
}

/** What stands in place of a banner, with its line end. */
export function bannerOf(refusal: Refusal): string {
  return `421 ${refusal.status} ${cutText(refusal.text)}\r\n`;
}

/**
 * Holds the whole dialogue, in which RCPT and DATA are answered 451.
 *
 * @returns the first envelope that was offered
 */
export function refuseRecipients(
  refusal: Refusal,
  config: ResolvedConfig,
  env: Environment,
): Told {
  const hostname = greetingName(config.controlDir, env);
  const dialogue = new Dialogue(dialogueOptions(refusal, hostname));
  converse(dialogue, config.deferral);
  return toldIn(dialogue);
}

/**
 * The dialogue in which RCPT and DATA are answered 451.
 *
 * @param hostname the name in the banner
 */
export function dialogueOptions(
  { status, text }: Refusal,
  hostname: string,
): DialogueOptions {
  return { hostname, deferral: `451 ${status} ${cutText(text)}` };
}

/** The first envelope that the client offered. */
export function toldIn({ envelope: { helo, from, to } }: Dialogue): Told {
  return {
    helo: helo && escapeValue(helo),
    from: from && `<${escapeValue(from)}>`,
    to: to && `<${escapeValue(to)}>`,
  };
}

/**
 * The name in the banner, from where qmail-smtpd has it (qmail-smtpd(8)): the
 * control file `smtpgreeting`, else `me`; else what tcpserver calls this host.
 */
export function greetingName(controlDir: string, env: Environment): string {
  for (const file of ["smtpgreeting", "me"]) {
    try {
      // smtpgreeting may go on with words behind the name.
      const text = readRegularFile(`${controlDir}/${file}`);
      // After a power failure there may be zero bytes, which end a variable.
      const [name] = text.trimStart().split(/[\s\0]/, 1);
      if (name !== "") return name;
    } catch {
      // The next one, then.
    }
  }
  return env("TCPLOCALHOST") || "localhost";
}
