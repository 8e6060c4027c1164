/**
 * Why something failed, as one line for the log and for the administrator.
 *
 * @module
 */

/**
 * The reason in an error's message. Deno's own messages go on with the number,
 * the call and the path, `(os error 2): stat '/x'`. That part is cut off: the
 * caller's sentence names the path already.
 */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const end = text.indexOf(" (os error ");
  return end < 0 ? text : text.slice(0, end);
}
