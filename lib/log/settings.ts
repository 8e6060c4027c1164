/**
 * What can be configured about the log.
 *
 * @module
 */

/** Syslog facilities (RFC 3164 section 4.1.1) that a mail program may use. */
export const FACILITIES = {
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  authpriv: 10,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;

/** The levels of @std/log, the least important first. */
export const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"] as const;

/** The name of a facility. */
export type Facility = keyof typeof FACILITIES;

/** The name of a level. */
export type Level = typeof LEVELS[number];

/** Where log lines go, and which. */
export interface LogSettings {
  /** `auto`, `stderr`, `syslog` or an absolute path. */
  readonly target: string;
  readonly level: Level;
  readonly facility: Facility;
}
