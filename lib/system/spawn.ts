/**
 * Starts a program on a connection: posix_spawn(3) with the socket as standard
 * input and output, which no function of Deno's can do.
 *
 * @module
 */

import { C, E } from "./constants.ts";
import { type EnvironmentString, environmentStrings } from "./environment.ts";
import { argumentStrings } from "./arguments.ts";
import { addressOf, cString, LibcError, pointerTable } from "./libc.ts";
import { posixSpawn } from "./posix_spawn.ts";
import { keepExitStatuses, signalsToReset } from "./signals.ts";

/**
 * What a child's environment has besides this process's own; a variable with the
 * value undefined is removed.
 */
export type Variables = Readonly<Record<string, string | undefined>>;

/** A program that is being started in another thread. */
interface Starting {
  /** Where the C library writes the process id. */
  readonly pid: DataView;
  readonly done: Done;
  /** Kept from the garbage collector while the other thread reads it. */
  readonly kept: unknown;
}

/** Called with the process id of a child, or with why there is none. */
export type Done = (result: number | LibcError) => void;

/** A program that is started again and again as a child process. */
export class ChildProgram {
  /** The name that it is started by. */
  readonly name: string;
  readonly #descriptors: readonly number[];
  /** The path of the program; undefined if the next start has to search PATH. */
  #found: Uint8Array<ArrayBuffer> | undefined;
  /** The strings that `#argv` points to; the first is the program's name. */
  readonly #arguments: Uint8Array<ArrayBuffer>;
  readonly #argv: Uint8Array<ArrayBuffer>;
  readonly #attributes: Uint8Array<ArrayBuffer>;
  readonly #inherited: readonly EnvironmentString[];
  /** Pointers to the unchanged strings, by the names of the changed variables. */
  readonly #others = new Map<string, BigUint64Array>();
  /** The file actions by descriptor: the same descriptors come again and again. */
  readonly #actions = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly #starting = new Set<Starting>();

  /**
   * Starts nothing yet. The program will find signals as they are now.
   *
   * @param program the program, found on PATH as execvp(3) does, and its
   * arguments; see {@linkcode argumentStrings}
   * @param descriptors those that the socket becomes
   * @throws {LibcError}
   */
  constructor(
    program: readonly string[],
    descriptors: readonly number[] = [0, 1],
  ) {
    this.name = program[0];
    this.#descriptors = descriptors;
    const { block, addresses } = argumentStrings(program);
    this.#arguments = block;
    this.#argv = pointerTable(addresses);
    this.#inherited = environmentStrings();
    this.#attributes = attributesOf();
    keepExitStatuses();
  }

  /** The path of the program, so that no start has to search PATH. */
  set found(path: string | undefined) {
    this.#found = path === undefined ? undefined : cString(path);
  }

  /**
   * Starts the program. This thread stands still until the program runs.
   *
   * @param socket its standard input and output
   * @param variables see {@linkcode Variables}
   * @returns its process id
   * @throws {LibcError} if it cannot be started
   */
  spawn(socket: number, variables: Variables): number {
    const { memory, environment } = this.#environment(variables);
    const actions = this.#actionsOn(socket);
    const start = (file: Uint8Array<ArrayBuffer>) =>
      posixSpawn().posix_spawnp(
        memory,
        file,
        actions,
        this.#attributes,
        this.#argv,
        environment,
      );
    const found = this.#found;
    let code = start(found ?? this.#arguments);
    if (this.#hasMoved(code, found)) code = start(this.#arguments);
    must(code);
    return new DataView(memory.buffer).getInt32(0, true);
  }

  /**
   * Starts the program in another thread, since vfork(2) waits for a processor and
   * for the disk that the program is on.
   *
   * @param socket as in {@linkcode spawn}; it must stay open until `done` is called
   * @param done is called later
   * @throws {LibcError} if memory or the limit on descriptors does not allow a start
   */
  spawnBeside(socket: number, variables: Variables, done: Done): void {
    const { memory, environment } = this.#environment(variables);
    const actions = this.#actionsOn(socket);
    const pid = new DataView(memory.buffer);
    const found = this.#found;
    const kept = { memory, actions, found };
    const starting: Starting = { pid, done, kept };
    this.#starting.add(starting);
    posixSpawn().posix_spawnp_beside(
      memory,
      found ?? this.#arguments,
      actions,
      this.#attributes,
      this.#argv,
      environment,
    ).then((code) => {
      // Usually `settle` has finished this start already.
      if (!this.#starting.delete(starting)) return;
      if (code === 0) return done(pid.getInt32(0, true));
      if (!this.#hasMoved(code, found)) {
        return done(new LibcError("start", code));
      }
      this.spawnBeside(socket, variables, done);
    });
  }

  /** The number of starts that are under way in other threads. */
  get starting(): number {
    return this.#starting.size;
  }

  /**
   * Finishes starts that other threads have done. Their promises resolve too, but
   * only when the event loop has nothing else to do.
   */
  settle(): void {
    for (const starting of this.#starting) {
      const pid = starting.pid.getInt32(0, true);
      if (pid === 0) continue;
      this.#starting.delete(starting);
      starting.done(pid);
    }
  }

  /**
   * Whether the program has moved from the path that was tried. If so, the next start
   * searches PATH. Several starts may find that out at once.
   */
  #hasMoved(code: number, tried: Uint8Array | undefined): boolean {
    if (code !== E.ENOENT || tried === undefined) return false;
    if (this.#found === tried) this.#found = undefined;
    return true;
  }

  /**
   * Makes the environment in one block of memory: room for the process id, then
   * the pointers, then the strings of the given variables. Two blocks would take
   * 10 us more for each start.
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
    const memory = new Uint8Array(8 * words + 3 * text.length);
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

  /** Pointers to all strings of the environment except the given variables. */
  #without(names: readonly string[]): BigUint64Array {
    const key = names.join("=");
    let others = this.#others.get(key);
    if (others === undefined) {
      const gone = new Set(names);
      others = BigUint64Array.from(
        this.#inherited.filter(({ name }) => !gone.has(name)),
        ({ address }) => address,
      );
      this.#others.set(key, others);
    }
    return others;
  }

  /** @throws {LibcError} */
  #actionsOn(socket: number): Uint8Array<ArrayBuffer> {
    let actions = this.#actions.get(socket);
    if (actions === undefined) {
      const calls = posixSpawn();
      actions = new Uint8Array(C.POSIX_SPAWN_FILE_ACTIONS_SIZE);
      must(calls.posix_spawn_file_actions_init(actions));
      for (const fd of this.#descriptors) {
        must(calls.posix_spawn_file_actions_adddup2(actions, socket, fd));
      }
      this.#actions.set(socket, actions);
    }
    return actions;
  }
}

function attributesOf(): Uint8Array<ArrayBuffer> {
  const calls = posixSpawn();
  const attributes = new Uint8Array(C.POSIX_SPAWNATTR_SIZE);
  must(calls.posix_spawnattr_init(attributes));
  must(calls.posix_spawnattr_setsigdefault(attributes, signalsToReset()));
  must(calls.posix_spawnattr_setflags(
    attributes,
    // With an empty mask no signal is blocked.
    C.POSIX_SPAWN_SETSIGDEF | C.POSIX_SPAWN_SETSIGMASK,
  ));
  return attributes;
}

function must(code: number): void {
  if (code !== 0) throw new LibcError("start", code);
}
