/**
 * Starts PROGRAM on a connection: posix_spawn(3) with the socket as standard
 * input and output, which no function of Deno's can do.
 *
 * @module
 */

import { lazily } from "./lazily.ts";
import {
  addressOf,
  cString,
  cStrings,
  ENOENT,
  LIBC,
  LibcError,
  pointerTable,
} from "./libc.ts";
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
    // The same in another thread.
    beside: {
      name: "posix_spawnp",
      parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "u64"],
      result: "i32",
      nonblocking: true,
    },
    // int sigaction(int signum, const struct sigaction *act,
    //               struct sigaction *oldact);
    sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
    // long syscall(long number, ...);
    // int rt_sigaction(int signum, const struct kernel_sigaction *act,
    //                  struct kernel_sigaction *oldact, size_t sigsetsize);
    rt_sigaction: {
      name: "syscall",
      parameters: ["isize", "i32", "buffer", "buffer", "usize"],
      result: "isize",
    },
  }).symbols
);

/** An environment besides this process's own; undefined takes one away. */
export type Variables = Readonly<Record<string, string | undefined>>;

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

/** A program that is being started in another thread. */
interface Starting {
  /** Where the C library puts the process id when it is done. */
  readonly pid: DataView;
  readonly done: Done;
  /** What the other thread reads. */
  readonly kept: unknown;
}

/** Is told a process id, or why there is none. */
export type Done = (result: number | LibcError) => void;

/** Starts one program again and again. */
export class Spawner {
  readonly #abi: Abi;
  readonly #file: Uint8Array<ArrayBuffer>;
  /** Where it is; undefined is to be looked for. */
  #found: Uint8Array<ArrayBuffer> | undefined;
  /** Kept, since `#argv` points into it. */
  readonly #arguments: Uint8Array;
  readonly #argv: Uint8Array<ArrayBuffer>;
  readonly #attributes: Uint8Array<ArrayBuffer>;
  readonly #inherited: readonly Inherited[];
  /** The pointers to what is inherited, by the names that are given anew. */
  readonly #others = new Map<string, BigUint64Array>();
  /** What makes a descriptor standard input and output; each comes again. */
  readonly #actions = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly #starting = new Set<Starting>();

  /**
   * The program will find signals as they are now.
   *
   * @param program the program, found on PATH as execvp(3) does, and its
   * arguments
   * @throws {LibcError}
   */
  constructor(abi: Abi, program: readonly string[]) {
    this.#abi = abi;
    this.#file = cString(program[0]);
    const { block, places } = cStrings(program);
    this.#arguments = block;
    this.#argv = pointerTable(places);
    this.#inherited = inherited();
    this.#attributes = attributes(abi);
    expectChildren();
  }

  /** Where the program is: PATH is not looked through at each start then. */
  set found(path: string | undefined) {
    this.#found = path === undefined ? undefined : cString(path);
  }

  /**
   * Starts the program. Until it is there everything stands still.
   *
   * @param socket its standard input and output
   * @param variables its environment besides what this process has; undefined
   * takes one away
   * @param around calls `start`, which is the start alone, with this process as
   * the program is to find it
   * @returns its process id
   * @throws {LibcError} where it cannot be started
   */
  spawn(
    socket: number,
    variables: Variables,
    around: (start: () => void) => void = (start) => start(),
  ): number {
    const { memory, environment } = this.#environment(variables);
    const actions = this.#actionsOn(socket);
    const start = (file: Uint8Array<ArrayBuffer>) =>
      libc().posix_spawnp(
        memory,
        file,
        actions,
        this.#attributes,
        this.#argv,
        environment,
      );
    around(() => {
      // Gives an errno, not -1.
      let code = start(this.#found ?? this.#file);
      if (this.#isElsewhere(code)) code = start(this.#file);
      must(code);
    });
    return new DataView(memory.buffer).getInt32(0, true);
  }

  /**
   * Starts the program in another thread, and goes on meanwhile: vfork(2) waits
   * for a processor, and for the disk that the program is on.
   *
   * @param socket as in {@linkcode spawn}; it must stay open until it is done
   * @param done is called later
   */
  spawnBeside(socket: number, variables: Variables, done: Done): void {
    const { memory, environment } = this.#environment(variables);
    const actions = this.#actionsOn(socket);
    const pid = new DataView(memory.buffer);
    const kept = { memory, actions, found: this.#found };
    const starting: Starting = { pid, done, kept };
    this.#starting.add(starting);
    libc().beside(
      memory,
      this.#found ?? this.#file,
      actions,
      this.#attributes,
      this.#argv,
      environment,
    ).then((code) => {
      // As a rule `settle` has seen it already.
      if (!this.#starting.delete(starting)) return;
      if (code === 0) return done(pid.getInt32(0, true));
      if (!this.#isElsewhere(code)) return done(new LibcError("start", code));
      this.spawnBeside(socket, variables, done);
    });
  }

  /** How many programs are being started in other threads. */
  get starting(): number {
    return this.#starting.size;
  }

  /**
   * Finishes what other threads have done. Their promises say the same, but only
   * when there is nothing else to do.
   */
  settle(): void {
    for (const starting of this.#starting) {
      const pid = starting.pid.getInt32(0, true);
      if (pid === 0) continue;
      this.#starting.delete(starting);
      starting.done(pid);
    }
  }

  /** Whether the program is not where it was; then it is looked for. */
  #isElsewhere(code: number): boolean {
    if (code !== ENOENT || this.#found === undefined) return false;
    this.#found = undefined;
    return true;
  }

  /**
   * Writes down the environment: room for the process id, then the pointers, then
   * the strings of the variables that are given. It is one piece of memory, since
   * cStrings and a table take some 10 us more for each start.
   */
  #environment(variables: Variables) {
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
 * A struct sigaction in words of 64 bits; the handler comes first. The kernel's
 * own is smaller.
 */
const ACTION = 19;

/** What is not handed on, where it is ignored here. */
const OWN: readonly number[] = [C.SIGPIPE, C.SIGXFSZ, C.SIGCHLD];

/**
 * Signals as the program expects them, none of them blocked. What is ignored
 * stays ignored, but not what the Rust runtime (SIGPIPE) and this program
 * (SIGXFSZ) ignore, nor SIGCHLD, as tcpserver has it. All others are named, since
 * the C library takes longer over each that is not.
 */
function attributes(abi: Abi): Uint8Array<ArrayBuffer> {
  const calls = libc();
  const attributes = new Uint8Array(abi.spawnAttributesSize);
  const signals = new Uint8Array(abi.signalSetSize);
  const action = new BigUint64Array(ACTION);
  const bytes = new Uint8Array(action.buffer);
  const sigaction = BigInt(abi.sysSigaction);
  for (let signal = 1; signal <= C.SIGRTMAX; signal++) {
    // The C library's function tells nothing of its own signals, 32 and 33.
    calls.rt_sigaction(sigaction, signal, null, bytes, 8n);
    const ignored = action[0] === C.SIG_IGN;
    if (ignored && !OWN.includes(signal)) continue;
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

/**
 * Has the kernel keep how children end until it is asked. It does not where
 * whoever started this process ignores SIGCHLD (wait(2)).
 */
function expectChildren(): void {
  const byDefault = new Uint8Array(8 * ACTION);
  libc().sigaction(C.SIGCHLD, byDefault, null);
}

function must(code: number): void {
  if (code !== 0) throw new LibcError("start", code);
}
