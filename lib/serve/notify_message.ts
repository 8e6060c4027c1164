/**
 * What a service tells its service manager: sd_notify(3), sd_watchdog_enabled(3).
 *
 * @module
 */

/** The variables with which the service manager says how to be told. */
export const NOTIFY_VARIABLES = [
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
] as const;

/** Their values; undefined if one is not set. */
export type NotifyVariables = Readonly<
  Partial<Record<typeof NOTIFY_VARIABLES[number], string>>
>;

/** The service is up, or has done what {@linkcode reloading} announced. */
export function ready(status: string): string {
  return `READY=1\n${statusLine(status)}`;
}

/**
 * The service reads its files again.
 *
 * @param now CLOCK_MONOTONIC, in microseconds, which `Type=notify-reload` asks for
 */
export function reloading(now: bigint, status: string): string {
  return `RELOADING=1\nMONOTONIC_USEC=${now}\n${statusLine(status)}`;
}

/** The service ends. */
export function stopping(status: string): string {
  return `STOPPING=1\n${statusLine(status)}`;
}

/** The service is alive. */
export const ALIVE = "WATCHDOG=1";

/** What `systemctl status` shows. */
function statusLine(status: string): string {
  return `STATUS=${status.replaceAll("\n", " ")}`;
}

/**
 * How often the service manager is told that the service is alive: in half the
 * time after which it would restart the service.
 *
 * @returns milliseconds; undefined if the manager does not expect that of this
 * process
 */
export function tickInterval(
  { WATCHDOG_USEC = "", WATCHDOG_PID }: NotifyVariables,
  pid: number,
): number | undefined {
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid)) {
    return undefined;
  }
  if (!/^\d{1,15}$/.test(WATCHDOG_USEC) || Number(WATCHDOG_USEC) === 0) {
    return undefined;
  }
  return Number(WATCHDOG_USEC) / 2000;
}
