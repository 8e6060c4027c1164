/**
 * The processor time that a running process has taken so far.
 *
 * @module
 */

/**
 * The processor time, user and system, of a process and of those of its
 * children that have ended, in seconds, to a hundredth (USER_HZ).
 */
export function processorTime(pid: number | "self"): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // proc_pid_stat(5): utime is the 14th field; the second may have blanks.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + +field, 0);
  return ticks / 100;
}
