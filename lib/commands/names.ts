/**
 * The names of the subcommands, in a module of their own: the wrapper needs the
 * names, and should not load the subcommands.
 *
 * @module
 */

/** The commands that have a module of their own beside this one. */
export const COMMAND_NAMES = [
  "info",
  "explain",
  "check",
  "prune",
  "import",
  "learn",
  "report",
  "serve",
] as const;

/** Whether a first argument is a command and not PROGRAM. */
export function isCommand(name: string): boolean {
  return [...COMMAND_NAMES, "help", "version"].includes(name);
}
