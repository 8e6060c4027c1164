/**
 * Calls to the C library, for system calls that Deno has no function for: opens
 * the functions, passes text and pointers, reports errors.
 *
 * @module
 */

import { E } from "./constants.ts";
import { encode, writeAscii } from "./utf8.ts";

/** The C library as dlopen(3) finds it. */
const LIBC = "libc.so.6";

/** A call that failed, by its name in the C library; `code` is its errno. */
export class LibcError extends Error {
  override name = "LibcError";

  constructor(readonly call: string, readonly code: number) {
    super(`${call}: ${describe(code)}`);
  }

  /** The message without the name of the call. */
  get reason(): string {
    return describe(this.code);
  }
}

/** A text as a C string. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return encode(text + "\0");
}

const brief = new Uint8Array(4096);

/**
 * A text as a C string, for one call in this thread: the next call of this function
 * may use the same memory. See {@linkcode writeAscii}.
 */
export function briefCString(text: string): Uint8Array<ArrayBuffer> {
  const { length } = text;
  if (length >= brief.length || !writeAscii(text, brief)) return cString(text);
  brief[length] = 0;
  return brief;
}

/**
 * The address of a buffer's bytes, valid as long as the buffer is referred to. Deno
 * builds V8 with v8_typed_array_max_size_in_heap=0: no bytes are in V8's heap, so the
 * garbage collector never moves them.
 */
export function addressOf(buffer: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer));
}

/** C strings in one block of memory. */
export interface Strings {
  readonly block: Uint8Array<ArrayBuffer>;
  /** The address of each; valid as long as `block` is referred to. */
  readonly addresses: readonly bigint[];
}

/** Texts as C strings. */
export function cStrings(texts: readonly string[]): Strings {
  return stringsIn(encode(texts.map((text) => text + "\0").join("")));
}

/**
 * Finds the C strings in a block of memory.
 *
 * @param block one string after the other, each with its null byte
 */
export function stringsIn(block: Uint8Array<ArrayBuffer>): Strings {
  const start = addressOf(block);
  const addresses: bigint[] = [];
  for (let at = 0; at < block.length; at = block.indexOf(0, at) + 1) {
    addresses.push(start + BigInt(at));
  }
  return { block, addresses };
}

/** Pointers with a null pointer behind them, as argv and envp are. */
export function pointerTable(
  addresses: readonly bigint[],
): Uint8Array<ArrayBuffer> {
  const pointers = BigUint64Array.from([...addresses, 0n]);
  return new Uint8Array(pointers.buffer);
}

type Functions = Readonly<Record<string, Deno.ForeignFunction>>;

/**
 * Opens functions of the C library when the first of them is called.
 *
 * @returns a function that gives them
 */
export function fromLibc<const T extends Deno.ForeignLibraryInterface>(
  types: T,
): () => Deno.DynamicLibrary<T>["symbols"] {
  let symbols: Deno.DynamicLibrary<T>["symbols"] | undefined;
  return () => {
    if (symbols === undefined) {
      errnoView();
      symbols = Deno.dlopen(LIBC, types).symbols;
    }
    return symbols;
  };
}

/**
 * A last argument that no function reads. The calling conventions of x86_64 and
 * aarch64 put it behind the others, and the caller removes it.
 *
 * For each symbol Deno.dlopen compiles a fast path. That takes 0.2 ms a symbol, and
 * the interpreter never uses the path. A function with a structure among its
 * parameters gets none.
 */
const UNREAD = new Uint8Array(1);

type StartSymbols = Deno.DynamicLibrary<Functions>["symbols"];

/** Functions of {@linkcode fromLibcAtStart} that are not open yet. */
let declared: Record<string, Deno.ForeignFunction> = {};

const opened: Record<string, StartSymbols[string]> = {};

function declare(types: Functions): void {
  for (const name in types) {
    const { parameters } = types[name];
    declared[name] = {
      ...types[name],
      parameters: [...parameters, { struct: ["u8"] }],
    };
  }
}

function symbol(name: string): StartSymbols[string] {
  if (!(name in opened)) {
    Object.assign(opened, Deno.dlopen(LIBC, declared).symbols);
    declared = {};
    // Before the first call that may fail: to look for errno may change it.
    errnoView();
  }
  return opened[name];
}

/** Functions with the types that Deno passes. */
type Callables<T extends Functions> = {
  readonly [N in keyof T]: Deno.UnsafeFnPointer<T[N]>["call"];
};

/**
 * Functions of the C library that the check of a connection calls, a few times
 * each. The first call opens those of all modules at once, which takes a start
 * 0.2 to 0.4 ms less than one Deno.dlopen for each module. A call takes 0.2 us
 * more than one of a function of {@linkcode fromLibc}.
 */
export function fromLibcAtStart<const T extends Functions>(
  types: T,
): Callables<T> {
  declare(types);
  const functions: Record<string, unknown> = {};
  for (const name in types) {
    functions[name] = (...args: never[]) => symbol(name)(...args, UNREAD);
  }
  return functions as Callables<T>;
}

declare({
  // int *__errno_location(void);
  __errno_location: { parameters: [], result: "pointer" },
});

let errnoMemory: Deno.UnsafePointerView | undefined;

/** The memory that errno is in. */
function errnoView(): Deno.UnsafePointerView {
  if (errnoMemory === undefined) {
    const location = symbol("__errno_location")(UNREAD);
    errnoMemory = new Deno.UnsafePointerView(location as Deno.PointerObject);
  }
  return errnoMemory;
}

const libc = fromLibc({
  // char *strerror(int errnum);
  strerror: { parameters: ["i32"], result: "pointer" },
});

function describe(code: number): string {
  const text = libc().strerror(code);
  return text === null
    ? `error ${code}`
    : Deno.UnsafePointerView.getCString(text);
}

/** Whether an error is a call that failed with this errno. */
export function isErrno(error: unknown, ...codes: number[]): boolean {
  return error instanceof LibcError && codes.includes(error.code);
}

/** The errno of the last call; it means something only if that call failed. */
export function errno(): number {
  return errnoView().getInt32();
}

/**
 * Gives the result of a call.
 *
 * @throws {LibcError} if the result is -1
 */
export function check<T extends number | bigint>(call: string, result: T): T {
  if (result == -1) throw new LibcError(call, errno());
  return result;
}

const PASSING: readonly number[] = [
  E.EINTR,
  E.EIO,
  E.ENOMEM,
  E.ENFILE,
  E.EMFILE,
  E.ENOSPC,
  E.EDQUOT,
  // Of network and FUSE file systems: the server or the daemon is gone.
  E.ESTALE,
  E.ENOTCONN,
];

/** Whether the same call may succeed later, such as after ENOSPC. */
export function isPassing({ code }: LibcError): boolean {
  return PASSING.includes(code);
}
