/**
 * The lines that this process sends to syslog, without a syslog daemon.
 *
 * @module
 */

import { SyslogHandler } from "../../lib/log/targets.ts";

/** A syslog daemon that takes so many more lines. */
export interface Daemon {
  /** Each as `<22>line`, without the time and the program. */
  readonly lines: string[];
  room: number;
}

/** Runs with such a daemon in place of the one of this machine. */
export async function withDaemon(
  work: (daemon: Daemon) => void | Promise<void>,
): Promise<void> {
  const { log } = SyslogHandler.prototype;
  const daemon: Daemon = { lines: [], room: Infinity };
  SyslogHandler.prototype.log = (message) => {
    if (daemon.room-- <= 0) {
      throw new Error("sendto: No buffer space available");
    }
    daemon.lines.push(message.replace(/^(<\d+>).*?\]: /, "$1"));
  };
  try {
    await work(daemon);
  } finally {
    SyslogHandler.prototype.log = log;
  }
}
