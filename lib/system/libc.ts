/**
 * The C library, for what Deno has no function for: how its functions are found
 * and called, and how their errors are told.
 *
 * @module
 */

import { lazily } from "./lazily.ts";
import { encode } from "./utf8.ts";

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

/** A string as C has it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return encode(text + "\0");
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
 * A last argument that no function looks for. The calling conventions of x86_64
 * and aarch64 put it behind the others, and it is the caller who clears it away.
 *
 * Deno.dlopen has a fast way in compiled for each symbol, which takes a start
 * 0.2 ms, and which the interpreter never uses. For one with a structure among
 * its parameters there is none.
 */
const UNSEEN = new Uint8Array(1);

type Functions = Readonly<Record<string, Deno.ForeignFunction>>;

function open(functions: Functions) {
  const symbols: Record<string, Deno.ForeignFunction> = {};
  for (const name in functions) {
    const { parameters, result } = functions[name];
    symbols[name] = { parameters: [...parameters, { struct: ["u8"] }], result };
  }
  return Deno.dlopen(LIBC, symbols).symbols;
}

type Symbols = ReturnType<typeof open>;

/** What is opened when the first of it is called. */
let waiting: Record<string, Deno.ForeignFunction> = {
  // int *__errno_location(void);
  __errno_location: { parameters: [], result: "pointer" },
};

/** What is open. */
const opened: Record<string, Symbols[string]> = {};

function symbol(name: string): Symbols[string] {
  if (!(name in opened)) {
    Object.assign(opened, open(waiting));
    waiting = {};
    errnoPlace();
  }
  return opened[name];
}

/** Where errno is. Looking for it must not change it. */
const errnoPlace = lazily(() => {
  const place = symbol("__errno_location")(UNSEEN);
  return new Deno.UnsafePointerView(place as Deno.PointerObject);
});

/** Functions with the types that Deno passes. */
type Callables<T extends Functions> = {
  readonly [N in keyof T]: Deno.UnsafeFnPointer<T[N]>["call"];
};

/**
 * Functions of the C library that nearly every start calls, a few times each:
 * opening them takes less than Deno.dlopen does, each call more. The first call
 * opens those of all modules, since each opening has its price, and so has each
 * function in it. So one function is one module's.
 */
export function fromLibc<const T extends Functions>(types: T): Callables<T> {
  Object.assign(waiting, types);
  return callables(types, symbol);
}

/** The same for what few starts call: the first call opens these alone. */
export function seldomFromLibc<const T extends Functions>(
  types: T,
): Callables<T> {
  const symbols = lazily(() => {
    errnoPlace();
    return open(types);
  });
  return callables(types, (name) => symbols()[name]);
}

function callables<T extends Functions>(
  types: T,
  find: (name: string) => Symbols[string],
): Callables<T> {
  const functions: Record<string, unknown> = {};
  for (const name in types) {
    functions[name] = (...args: never[]) => find(name)(...args, UNSEEN);
  }
  return functions as Callables<T>;
}

const libc = seldomFromLibc({
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
