/**
 * Whether what is written to a descriptor would reach the client.
 *
 * @module
 */

/**
 * Whether a descriptor is the same socket or pipe as standard input or output, as
 * inetd and systemd arrange it for stderr.
 *
 * @returns true also if that cannot be found out
 */
export function reachesClient(fd: number): boolean {
  try {
    const own = Deno.readLinkSync(`/proc/self/fd/${fd}`);
    if (
      Deno.readLinkSync("/proc/self/fd/0") !== own &&
      Deno.readLinkSync("/proc/self/fd/1") !== own
    ) return false;
    if (own.startsWith("socket:") || own.startsWith("pipe:")) return true;
    return Deno.statSync(`/proc/self/fd/${fd}`).isFifo === true;
  } catch {
    return true;
  }
}
