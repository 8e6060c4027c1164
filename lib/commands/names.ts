/**
 * The subcommands' names, apart from what they do: who starts the wrapper pays
 * for these lines only.
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
