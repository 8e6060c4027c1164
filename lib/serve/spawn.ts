/**
 * Starts PROGRAM on a connection: posix_spawn(3) with the socket as standard
 * input and output, which no function of Deno's can do; and says how it ended.
 *
 * @module
 */

import { lazily } from "../lazily.ts";
import {
  addressOf,
  cString,
  cStrings,
  LIBC,
  LibcError,
  pointerTable,
} from "../libc.ts";
import { type Abi, C } from "./abi.ts";

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // extern char **environ;
    environ: { type: "pointer" },
    // int posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions);
    posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
    // int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions,
    //                                      int fd, int newfd);
    posix_spawn_file_actions_adddup2: {
      parameters: ["buffer", "i32", "i32"],
      result: "i32",
    },
    // int posix_spawnattr_init(posix_spawnattr_t *attr);
    posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
    // int posix_spawnattr_setflags(posix_spawnattr_t *attr, short flags);
    posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" },
    // int posix_spawnattr_setsigdefault(posix_spawnattr_t *attr,
    //                                   const sigset_t *sigdefault);
    posix_spawnattr_setsigdefault: {
      parameters: ["buffer", "buffer"],
      result: "i32",
    },
    // int posix_spawnp(pid_t *pid, const char *file,
    //                  const posix_spawn_file_actions_t *file_actions,
    //                  const posix_spawnattr_t *attrp,
    //                  char *const argv[], char *const envp[]);
    posix_spawnp: {
      parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "u64"],
      result: "i32",
    },
    // pid_t waitpid(pid_t pid, int *wstatus, int options);
    waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  }).symbols
);

/** A string of this process's own environment, where the C library has it. */
interface Inherited {
  readonly name: string;
  readonly at: bigint;
}

/** The environment as it is, whatever bytes are in it. */
function inherited(): Inherited[] {
  const found: Inherited[] = [];
  // Where the variable is, which holds where the table is.
  const variable = new Deno.UnsafePointerView(libc().environ!);
  const table = Deno.UnsafePointer.create(variable.getBigUint64());
  if (table === null) return found;
  const view = new Deno.UnsafePointerView(table);
  for (let i = 0;; i++) {
    const at = view.getBigUint64(8 * i);
    const string = Deno.UnsafePointer.create(at);
    if (string === null) return found;
    found.push({ name: nameAt(string), at });
  }
}

/** What stands before the `=`. */
function nameAt(string: Deno.PointerObject): string {
  const view = new Deno.UnsafePointerView(string);
  let name = "";
  for (let i = 0;; i++) {
    const byte = view.getUint8(i);
    if (byte === 0 || byte === 0x3d) return name;
    name += String.fromCharCode(byte);
  }
}

/** Starts one program again and again. */
export class Spawner {
  readonly #abi: Abi;
  readonly #file: Uint8Array<ArrayBuffer>;
  /** Kept, since `#argv` points into it. */
  readonly #arguments: Uint8Array;
  readonly #argv: Uint8Array<ArrayBuffer>;
  readonly #attributes: Uint8Array<ArrayBuffer>;
  readonly #inherited: readonly Inherited[];
  /** The pointers to what is inherited, by the names that are given anew. */
  readonly #others = new Map<string, BigUint64Array>();
  /** What makes a descriptor standard input and output; each comes again. */
  readonly #actions = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly #around: (start: () => void) => void;

  /**
   * @param program the program, found on PATH as execvp(3) does, and its
   * arguments
   * @param around calls `start`, which is the start alone, with this process as
   * the program is to find it
   * @throws {LibcError}
   */
  constructor(
    abi: Abi,
    program: readonly string[],
    around: (start: () => void) => void = (start) => start(),
  ) {
    this.#abi = abi;
    this.#around = around;
    this.#file = cString(program[0]);
    const { block, places } = cStrings(program);
    this.#arguments = block;
    this.#argv = pointerTable(places);
    this.#inherited = inherited();
    this.#attributes = attributes(abi);
  }

  /**
   * Starts the program.
   *
   * @param socket its standard input and output
   * @param variables its environment besides what this process has; undefined
   * takes one away
   * @returns its process id
   * @throws {LibcError} where it cannot be started
   */
  spawn(
    socket: number,
    variables: Readonly<Record<string, string | undefined>>,
  ): number {
    const { memory, environment } = this.#environment(variables);
    const actions = this.#actionsOn(socket);
    // Gives an errno, not -1.
    this.#around(() =>
      must(
        libc().posix_spawnp(
          memory,
          this.#file,
          actions,
          this.#attributes,
          this.#argv,
          environment,
        ),
      )
    );
    return new DataView(memory.buffer).getInt32(0, true);
  }

  /**
   * Writes down the environment: room for the process id, then the pointers, then
   * the strings of the variables that are given. It is one piece of memory, since
   * cStrings and a table take some 10 us more for each start.
   */
  #environment(variables: Readonly<Record<string, string | undefined>>) {
    const names = Object.keys(variables);
    const own = this.#without(names);
    let text = "";
    let count = 0;
    for (const name of names) {
      const value = variables[name];
      if (value === undefined) continue;
      text += `${name}=${value}\0`;
      count++;
    }
    const words = 1 + own.length + count + 1;
    // A character is at most three bytes.
    const memory = new Uint8Array(8 * words + 3 * text.length + 128);
    const table = new BigUint64Array(memory.buffer, 0, words);
    table.set(own, 1);
    new TextEncoder().encodeInto(text, memory.subarray(8 * words));
    const start = addressOf(memory);
    let at = 8 * words;
    for (let i = 0; i < count; i++) {
      table[1 + own.length + i] = start + BigInt(at);
      at = memory.indexOf(0, at) + 1;
    }
    return { memory, environment: start + 8n };
  }

  /** Pointers to all that is inherited but these. */
  #without(names: readonly string[]): BigUint64Array {
    const key = names.join("=");
    let others = this.#others.get(key);
    if (others === undefined) {
      const gone = new Set(names);
      others = BigUint64Array.from(
        this.#inherited.filter(({ name }) => !gone.has(name)),
        ({ at }) => at,
      );
      this.#others.set(key, others);
    }
    return others;
  }

  /** @throws {LibcError} */
  #actionsOn(socket: number): Uint8Array<ArrayBuffer> {
    let actions = this.#actions.get(socket);
    if (actions === undefined) {
      const calls = libc();
      actions = new Uint8Array(this.#abi.spawnFileActionsSize);
      must(calls.posix_spawn_file_actions_init(actions));
      must(calls.posix_spawn_file_actions_adddup2(actions, socket, 0));
      must(calls.posix_spawn_file_actions_adddup2(actions, socket, 1));
      this.#actions.set(socket, actions);
    }
    return actions;
  }
}

/**
 * Signals as the program expects them: the Rust runtime ignores SIGPIPE, and
 * this program SIGXFSZ, and both would be inherited; nothing is blocked.
 */
function attributes(abi: Abi): Uint8Array<ArrayBuffer> {
  const calls = libc();
  const attributes = new Uint8Array(abi.spawnAttributesSize);
  const signals = new Uint8Array(abi.signalSetSize);
  for (const signal of [C.SIGPIPE, C.SIGXFSZ]) {
    signals[(signal - 1) >> 3] |= 1 << ((signal - 1) & 7);
  }
  must(calls.posix_spawnattr_init(attributes));
  must(calls.posix_spawnattr_setsigdefault(attributes, signals));
  must(calls.posix_spawnattr_setflags(
    attributes,
    C.POSIX_SPAWN_SETSIGDEF | C.POSIX_SPAWN_SETSIGMASK,
  ));
  return attributes;
}

function must(code: number): void {
  if (code !== 0) throw new LibcError("start", code);
}

/** How a program ended. */
export interface Ended {
  readonly pid: number;
  /** Its exit code, where it was not a signal. */
  readonly code?: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
}

/**
 * The programs that have ended since the last call; each is given once.
 *
 * @param only the process id of the one to ask for
 */
export function* reap(only = -1): Generator<Ended> {
  const status = new Uint8Array(4);
  while (true) {
    const pid = libc().waitpid(only, status, C.WNOHANG);
    if (pid <= 0) return;
    // wait(2): the signal in the low 7 bits, the exit code above 8.
    const signal = status[0] & 0x7f;
    yield signal === 0 ? { pid, code: status[1] } : { pid, signal };
  }
}
