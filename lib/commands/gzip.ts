/**
 * Uncompresses what gzip(1) has written.
 *
 * @module
 */

// If these stood in import() itself, the type checker would ask a registry for
// Node's types.
const ZLIB: string = "node:zlib";
const STREAM: string = "node:stream";

/**
 * The bytes as they are, or uncompressed if they begin as gzip does.
 *
 * @param pieces each may be overwritten when the next one is asked for
 */
export async function* unpacked(
  pieces: Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const iterator = pieces[Symbol.iterator]();
  const first = iterator.next();
  if (first.done) return;
  const again = {
    *[Symbol.iterator]() {
      yield first.value;
      for (let next; !(next = iterator.next()).done;) yield next.value;
    },
  };
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) {
    yield* again;
    return;
  }
  // DecompressionStream fails at the second of several files put together.
  const { createGunzip } = await import(ZLIB);
  const { Readable } = await import(STREAM);
  const copies = function* () {
    for (const piece of again) yield piece.slice();
  };
  const source = Readable.from(copies(), { objectMode: true });
  const gunzip = createGunzip();
  source.on("error", (error: Error) => gunzip.destroy(error));
  for await (const bytes of source.pipe(gunzip)) yield bytes;
}

/** What other programs' files begin with. */
const OTHERS: Readonly<Record<string, readonly number[]>> = {
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  bzip2: [0x42, 0x5a, 0x68],
};

/** The program that has compressed data which {@linkcode unpacked} cannot read. */
export function compressedBy(head: Uint8Array): string | undefined {
  return Object.keys(OTHERS).find((name) =>
    OTHERS[name].every((byte, i) => head[i] === byte)
  );
}

/** Whether an error of {@linkcode unpacked} means that the data is damaged. */
export function isGzipError(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && code.startsWith("Z_");
}
