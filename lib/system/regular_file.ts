/**
 * Small files that an administrator keeps.
 *
 * @module
 */

/**
 * Reads a file that has an end: a FIFO or a device in its place would hold every
 * client up.
 *
 * @throws {Error} where it cannot be read or is no regular file
 */
export function readRegularFile(path: string): string {
  if (!Deno.statSync(path).isFile) throw new Error("expected a regular file");
  return Deno.readTextFileSync(path);
}
