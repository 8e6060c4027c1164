/**
 * The lines that qmail-send writes about deliveries: see qmail-log(5). The log
 * may come from multilog, splogger and a syslog daemon, accustamp, or have no
 * stamps at all.
 *
 * @module
 */

import { type Address, parseAddress } from "../address.ts";
import { StampReader } from "./stamp.ts";

/** A line of the log. */
export interface Delivery {
  /** Seconds since 1970, undefined if the line has no stamp. */
  readonly time: number | undefined;
  /** The host that accepted a message from us, undefined if none did. */
  readonly host: Address | undefined;
}

/**
 * The text between a stamp and qmail-send's own words: host and tag of a syslog
 * daemon, and the seconds that splogger and accustamp write.
 *
 * The words have to follow at once: other programs write text from their clients
 * into the same syslog.
 */
const LINE =
  /^(?:(?:\S+ )?[\w./()@+-]+(?:\[\d+\])?: )?(?:(\d{9,10}\.\d{1,9}) )?(?:starting delivery (\d+): msg \d+ to (local|remote) |delivery (\d+): (?:(success): (\S+))?)/;

/**
 * What qmail-remote reports if the other host has accepted the message, with `_`
 * for each space: "192.0.2.1 accepted message.", with TLS "192.0.2.1 TLS
 * transmitted message accepted.". Some patches put the recipient in front.
 */
const ACCEPTED =
  /^(?:\([^\s()]*\)_)?\[?([\da-fA-F.:]+)\]?_(?:accepted_message|TLS_transmitted_message_accepted)\./;

/** More deliveries than qmail-send runs at once, with several queues. */
const MOST = 10_000;

/**
 * Reads one log, from the first line to the last. It remembers which deliveries
 * are local, because their reports are the output of programs that users choose.
 */
export class DeliveryReader {
  readonly #stamps: StampReader;
  readonly #local: Set<string>;

  /**
   * @param written when the log was last written to, in seconds since 1970
   * @param local the numbers of local deliveries that are under way, to be shared by
   * the readers of a log's parts
   */
  constructor(written: number, local = new Set<string>()) {
    this.#stamps = new StampReader(written);
    this.#local = local;
  }

  /** Reads one line, given without its line end. */
  read(line: string): Delivery {
    const stamp = this.#stamps.read(line);
    const found = LINE.exec(stamp === undefined ? line : line.slice(stamp.end));
    if (found === null) return { time: stamp?.time, host: undefined };
    const [, seconds, started, channel, ended, success, report] = found;
    // These seconds are finer than the stamp of a syslog daemon, and have the year.
    const time = seconds === undefined ? stamp?.time : Number(seconds);
    if (started !== undefined) {
      if (this.#local.size >= MOST) this.#local.clear();
      if (channel === "local") this.#local.add(started);
      else this.#local.delete(started);
      return { time, host: undefined };
    }
    const local = this.#local.delete(ended);
    const accepted = success && !local ? ACCEPTED.exec(report) : null;
    return { time, host: accepted ? parseAddress(accepted[1]) : undefined };
  }
}
