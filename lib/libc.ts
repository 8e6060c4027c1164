/**
 * The C library, for what Deno has no function for: how its functions are found
 * and called, and how their errors are told.
 *
 * @module
 */

/** The C library as dlopen(3) finds it. */
export const LIBC = "libc.so.6";

/** A call that failed; `code` is its errno. */
export class LibcError extends Error {
  override name = "LibcError";

  constructor(call: string, readonly code: number) {
    super(`${call}: ${describe(code)}`);
  }
}

/** The errno values that somebody decides by. */
export const ENOENT = 2;

/** See {@linkcode ENOENT}. */
export const EEXIST = 17;

/** See {@linkcode ENOENT}. */
export const EFBIG = 27;

/** Makes a value when it is first asked for. */
export function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => made ??= make();
}

/** A string as C has it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new TextEncoder().encode(text + "\0"));
}

/** Where a buffer lies. V8 moves one of less than 128 bytes. */
export function addressOf(buffer: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer));
}

/**
 * Strings one behind the other, and where each begins. Never so small that V8
 * would move them; they last as long as `block` is referred to.
 */
export function cStrings(
  texts: readonly string[],
): { block: Uint8Array<ArrayBuffer>; places: bigint[] } {
  const block = cString(texts.join("\0") + "\0".repeat(128));
  const start = addressOf(block);
  const places: bigint[] = [];
  let offset = 0;
  for (let i = 0; i < texts.length; i++) {
    places.push(start + BigInt(offset));
    offset = block.indexOf(0, offset) + 1;
  }
  return { block, places };
}

/** Pointers with a null behind them, as argv and envp are. */
export function pointerTable(
  places: readonly bigint[],
): Uint8Array<ArrayBuffer> {
  const pointers = BigUint64Array.from([...places, 0n]);
  return new Uint8Array(pointers.buffer);
}

/**
 * Where dlsym(3) is: here up to glibc 2.33, since then in the C library, which
 * this one leads to. The runtime itself is linked with it.
 */
const LIBDL = "libdl.so.2";

const dlsym = lazily(() =>
  Deno.dlopen(LIBDL, {
    // void *dlsym(void *handle, const char *symbol);
    dlsym: { parameters: ["pointer", "buffer"], result: "pointer" },
  }).symbols.dlsym
);

function find<const F extends Deno.ForeignFunction>(name: string, type: F) {
  const pointer = dlsym()(null, cString(name));
  if (pointer === null) throw new Error(`${LIBC}: no ${name}`);
  return new Deno.UnsafeFnPointer<F>(pointer as never, type);
}

/** Where errno is. Looking for it must not change it. */
const errnoPlace = lazily(() => {
  // int *__errno_location(void);
  const type = { parameters: [], result: "pointer" } as const;
  return new Deno.UnsafePointerView(find("__errno_location", type).call()!);
});

/** Functions with the types that Deno passes. */
type Callables<T extends Record<string, Deno.ForeignFunction>> = {
  readonly [N in keyof T]: Deno.UnsafeFnPointer<T[N]>["call"];
};

/**
 * Functions of the C library, each looked up when it is first called. A symbol
 * of Deno.dlopen costs a start some 0.2 ms, one that is found this way a tenth
 * of that; but each call of it takes longer.
 */
export function fromLibc<const T extends Record<string, Deno.ForeignFunction>>(
  types: T,
): Callables<T> {
  const functions: Record<string, (...args: never[]) => unknown> = {};
  for (const [name, type] of Object.entries(types)) {
    const look = lazily(() => {
      errnoPlace();
      return find(name, type);
    });
    functions[name] = (...args) => look().call(...args);
  }
  return functions as Callables<T>;
}

const libc = fromLibc({
  // char *strerror(int errnum);
  strerror: { parameters: ["i32"], result: "pointer" },
});

function describe(code: number): string {
  const text = libc.strerror(code);
  return text === null
    ? `error ${code}`
    : Deno.UnsafePointerView.getCString(text);
}

/** Whether something failed with this errno. */
export function isErrno(error: unknown, code: number): boolean {
  return error instanceof LibcError && error.code === code;
}

/** Why the last call failed; only right after one that did. */
export function errno(): number {
  return errnoPlace().getInt32();
}

/**
 * The result of a call, which is -1 where it fails.
 *
 * @throws {LibcError}
 */
export function check<T extends number | bigint>(call: string, result: T): T {
  if (result == -1) throw new LibcError(call, errno());
  return result;
}
