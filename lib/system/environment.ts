/**
 * The process's environment.
 *
 * @module
 */

/** An environment variable. One that is no UTF-8 is there, and means nothing. */
export function variable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (error instanceof Deno.errors.InvalidData) return "\ufffd";
    throw error;
  }
}
