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
  const text = textOf(error);
  const end = text.indexOf(" (os error ");
  return end < 0 ? text : text.slice(0, end);
}

/** The first line of a reason that says something. */
export function inOneLine(thrown: unknown): string {
  const text = reasonOf(thrown);
  const line = text.split("\n").find((line) => line.trim() !== "");
  return line?.trim() ?? "an error without a message";
}

function textOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    // A module may throw anything, such as an object without a prototype.
    return "an object that has no text";
  }
}
