/**
 * Log lines on stderr, for multilog, and in syslog; through @std/log. A log that fails
 * never stops mail, and no line reaches the client.
 *
 * @module
 */

import { BaseHandler } from "@std/log/base-handler";
import { LogLevels } from "@std/log/levels";
import { Logger, type LogRecord } from "@std/log/logger";
import { sendDatagram } from "../system/datagram.ts";
import { poll, POLLOUT } from "../system/descriptor.ts";
import { encode } from "../system/utf8.ts";
import { FACILITIES, type Level, type LogSettings } from "./settings.ts";

export { Logger };

/** How long a log line waits for a reader of stderr, in milliseconds. */
const STDERR_TIMEOUT = 1000;

/** The beginning of a line and its severity (RFC 3164 section 4.1.1), by level. */
const BY_LEVEL: Readonly<
  Record<number, { prefix: string; severity: number }>
> = {
  [LogLevels.DEBUG]: { prefix: "debug ", severity: 7 },
  [LogLevels.INFO]: { prefix: "", severity: 6 },
  [LogLevels.WARN]: { prefix: "warn ", severity: 4 },
  [LogLevels.ERROR]: { prefix: "error ", severity: 3 },
  [LogLevels.CRITICAL]: { prefix: "critical ", severity: 2 },
};

/** The line for every target. It begins with the level, unless that is INFO. */
export function format(
  { level, msg }: Pick<LogRecord, "level" | "msg">,
): string {
  return BY_LEVEL[level].prefix + msg;
}

/** Lines on stderr, for multilog(8). They are dropped if nothing reads them. */
class StderrHandler extends BaseHandler {
  #timeout = STDERR_TIMEOUT;

  override log(line: string): void {
    // If poll(2) calls a pipe writable, the pipe takes PIPE_BUF bytes at once and
    // as one piece, unless another process writes in between. No line is longer.
    if (!poll(2, POLLOUT, this.#timeout)) {
      // No later line waits: the reader of stderr has stalled.
      this.#timeout = 0;
      return;
    }
    Deno.stderr.writeSync(encode(line + "\n"));
  }
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/**
 * A syslog message as RFC 3164 section 4.1 has it, without the host name, which
 * the local daemon fills in.
 *
 * @param time the local time
 */
export function syslogMessage(
  facility: number,
  severity: number,
  time: Date,
  pid: number,
  text: string,
): string {
  const day = String(time.getDate()).padStart(2);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, "0")).join(":");
  const stamp = `${MONTHS[time.getMonth()]} ${day} ${clock}`;
  return `<${facility * 8 + severity}>${stamp} greylist[${pid}]: ${text}`;
}

/** One datagram a line; dropped if the syslog daemon does not keep up. */
export class SyslogHandler extends BaseHandler {
  readonly #facility: number;

  constructor({ level, facility }: Pick<LogSettings, "level" | "facility">) {
    super(level, { formatter: format });
    this.#facility = FACILITIES[facility];
  }

  override handle(record: LogRecord): void {
    if (this.level <= record.level) this.send(record);
  }

  /** Logs a record of any level. */
  protected send(record: LogRecord): void {
    this.log(syslogMessage(
      this.#facility,
      BY_LEVEL[record.level].severity,
      record.datetime,
      Deno.pid,
      this.format(record),
    ));
  }

  override log(message: string): void {
    sendDatagram("/dev/log", encode(message));
  }
}

/**
 * Opens the log on stderr or in syslog; `target` is no path.
 *
 * @param stderrIsClient whether stderr must not be written to
 */
export function openLog(
  { level, target, facility }: LogSettings,
  stderrIsClient: boolean,
): Logger {
  return target !== "syslog" && !stderrIsClient
    ? logger(level, new StderrHandler(level, { formatter: format }))
    : logger(level, new SyslogHandler({ level, facility }));
}

/** A logger that never throws. */
export function logger(level: Level, handler: BaseHandler): Logger {
  const handle = handler.handle.bind(handler);
  handler.handle = (record) => {
    try {
      handle(record);
    } catch {
      // There is no other log to report it to.
    }
  };
  return new Logger("greylist", level, { handlers: [handler] });
}
