/**
 * The lines that qmail-send writes about deliveries: see qmail-log(5). The log
 * may come from multilog, splogger and a syslog daemon, accustamp, or have no
 * stamps at all.
 *
 * @module
 */

import { type Address, parseBracketed } from "../address.ts";
import { StampReader } from "./stamp.ts";

/** A line of the log. */
export interface Delivery {
  /** Seconds since 1970, undefined if the line has no stamp. */
  readonly time: number | undefined;
  /** The host that accepted a message from us, undefined if none did. */
  readonly host: Address | undefined;
  /** Whether a host accepted a message and its address could not be read. */
  readonly isUnread: boolean;
}

/**
 * The deliveries under way, by number and queue: the recipient as the log has it, or
 * null for a local delivery, whose report is the output of a program that a user
 * chooses.
 */
export type UnderWay = Map<string, string | null>;

/**
 * The text between a stamp and qmail-send's own words: host and tag of a syslog
 * daemon, and the seconds that splogger and accustamp write.
 *
 * The words have to follow at once: other programs write text from their clients
 * into the same syslog. The qmail-send of IndiMail appends the name of its queue,
 * and to the number a text that the administrator may choose (QIDENT).
 */
const LINE =
  /^(?:(?:\S+ )?[\w./()@+-]+(?:\[\d+\])?: )?(?:(\d{9,10}\.\d{1,9}) )?(?:starting delivery (\d+(?:\.[^\s:]+)?): msg \d+ to (local|remote) (\S*)|delivery (\d+(?:\.[^\s:]+)?): (?:(success|deferral|failure): )?(\S*))(?: (\S+))?/;

/**
 * What qmail-remote reports if the other host has accepted the message, with `_`
 * for each space: "192.0.2.1 accepted message.", with TLS "192.0.2.1 TLS
 * transmitted message accepted.", of IndiMail "192.0.2.1 accepted message -
 * Protocol SMTP.".
 */
const ACCEPTED = /_(?:accepted_message|TLS_transmitted_message_accepted)/;
const END = /^(?:_-_Protocol_SMTPS?)?\./;

/**
 * What patches put in front of the address, up to the recipient. The alternatives, in
 * this order: a bracket alone; then the text of the qmail-remote of sagredo, of
 * IndiMail and of QMailToaster.
 */
const FRAME =
  /^(?:\(|<From:.*_To:|From:_<.*>_RCPT:_<|(?:(?:User_and_password_not_set|No_supported_AUTH_method_found),_continuing_without_authentication\.\/)?<)$/;

/**
 * The characters that stand for odd bytes of a recipient. In the line `starting
 * delivery` qmail-send writes `/` and `_`; in its report qmail-remote writes `?`.
 */
const ODD = /[/_?]/g;

/**
 * splogger ends a line after 799 characters, and a report begins after some 40. The
 * words of qmail-remote may be missing in a report of this length.
 */
const CUT = 750;

/** More deliveries than qmail-send runs at once, with several queues. */
const MOST = 10_000;

/**
 * Reads one log, from the first line to the last. It remembers the deliveries that
 * are under way: who they are for decides what their report may say.
 */
export class DeliveryReader {
  readonly #stamps: StampReader;
  readonly #underWay: UnderWay;

  /**
   * @param written when the log was last written to, in seconds since 1970
   * @param underWay the deliveries that are under way, to be shared by the readers of
   * a log's parts
   */
  constructor(written: number, underWay: UnderWay = new Map()) {
    this.#stamps = new StampReader(written);
    this.#underWay = underWay;
  }

  /** Reads one line, given without its line end. */
  read(line: string): Delivery {
    const stamp = this.#stamps.read(line);
    const found = LINE.exec(stamp === undefined ? line : line.slice(stamp.end));
    const none = { time: stamp?.time, host: undefined, isUnread: false };
    if (found === null) return none;
    const [, seconds, started, channel, to, ended, result, report, queue] =
      found;
    // These seconds are finer than the stamp of a syslog daemon, and have the year.
    const time = seconds === undefined ? stamp?.time : Number(seconds);
    const key = `${started ?? ended} ${queue ?? ""}`;
    const recipient = this.#underWay.get(key);
    this.#underWay.delete(key);
    if (started !== undefined) {
      for (const oldest of this.#underWay.keys()) {
        if (this.#underWay.size < MOST) break;
        this.#underWay.delete(oldest);
      }
      this.#underWay.set(key, channel === "local" ? null : to);
      return { ...none, time };
    }
    if (result !== "success" || recipient === null) return { ...none, time };
    // Without the line of its start, the delivery may be a local one.
    if (!recipient) return { ...none, time, isUnread: ACCEPTED.test(report) };
    const host = acceptedBy(report, recipient);
    return { time, host, isUnread: host === undefined };
  }
}

/**
 * The host in the report of a remote delivery. Sender and recipient may hold any
 * words, also those of {@linkcode ACCEPTED}, but qmail-remote writes its own behind
 * them. So a report that has the words twice names no host, and the text in front of
 * the address has to end in the recipient.
 *
 * @param recipient as the log has it
 */
function acceptedBy(report: string, recipient: string): Address | undefined {
  if (report.length >= CUT) return undefined;
  const [before, after, ...more] = report.split(ACCEPTED);
  if (after === undefined || more.length > 0 || !END.test(after)) {
    return undefined;
  }
  const at = before.lastIndexOf("_") + 1;
  if (at > 0 && !isFrame(before.slice(0, at), recipient)) return undefined;
  return parseBracketed(before.slice(at));
}

/** Whether this is what qmail-remote writes in front of the address. */
function isFrame(text: string, recipient: string): boolean {
  const end = /[)>]_$/.exec(text)?.index ?? 0;
  // qmail-remote quotes a local part such as `a..b`.
  const quoted = recipient.replace(/^(.*)@/, '"$1"@');
  return [recipient, quoted].some((name) => {
    const start = end - name.length;
    return start > 0 && FRAME.test(text.slice(0, start)) &&
      text.slice(start, end).replace(ODD, "_") === name.replace(ODD, "_");
  });
}
