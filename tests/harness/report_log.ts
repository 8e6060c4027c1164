/**
 * A log for the tests of the report.
 *
 * @module
 */

import { LogReader } from "../../lib/report/logline.ts";
import type { Period } from "../../lib/report/period.ts";
import { Tally } from "../../lib/report/tally.ts";

export const DAY = 86400;
export const WINDOW = DAY;
/** Noon on 2026-11-02, local time. */
export const START = new Date(2026, 10, 2, 12).getTime() / 1000;

/** A log that is written line by line, at times that are moved by hand. */
export class Log {
  now = START;
  readonly reader = new LogReader(START);
  readonly tally: Tally;

  constructor(
    limits?: { networks?: number; pools?: number },
    period?: Period,
  ) {
    this.tally = new Tally(WINDOW, period, limits);
  }

  after(seconds: number): this {
    this.now += seconds;
    return this;
  }

  line(text: string): this {
    this.tally.add(this.reader.read(text));
    return this;
  }

  write(text: string): this {
    return this.line(`${new Date(this.now * 1000).toISOString()} ${text}`);
  }

  observe(reason: string, net: string): this {
    return this.write(`would-defer ip=x net=${net} reason=${reason} wait=60`);
  }

  defer(reason: string, net: string, envelope = ""): this {
    return this.write(`defer ip=x net=${net} reason=${reason} ${envelope}`);
  }

  pass(reason: string, net: string, more = ""): this {
    return this.write(`pass ip=x net=${net} reason=${reason}${more}`);
  }
}

/** A pool, a whitelisted client and a warning; a day later, a network comes once. */
export function mixedLog(): Log {
  const log = new Log();
  const mail = "from=<a@b.example> to=<c@d.example>";
  for (let i = 0; i < 4; i++) {
    log.defer("new", `192.0.${i}.0/24`, `helo=out${i}.cloud.example ${mail}`);
  }
  log.after(90).pass("retried", "192.0.3.0/24", " age=90");
  for (let i = 0; i < 3; i++) log.defer("early", "192.0.2.0/24");
  return log.after(4000).pass("retried", "192.0.2.0/24", " age=4090")
    .write("pass ip=x reason=whitelisted rule=env:RELAYCLIENT").after(600)
    .write('warn what="/w:3: bad line"').after(WINDOW)
    .defer("new", "2001:db8:1111:2222:3333:4444:5555:0/112");
}
