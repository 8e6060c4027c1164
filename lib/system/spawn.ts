/**
 * Starts a program on a connection: posix_spawn(3) with the socket as standard
 * input and output, which no function of Deno's can do.
 *
 * @module
 */

import { type Abi, C, E } from "./constants.ts";
import { type EnvironmentString, environmentStrings } from "./environment.ts";
import {
  addressOf,
  cString,
  cStrings,
  LibcError,
  pointerTable,
} from "./libc.ts";
import { posixSpawn } from "./posix_spawn.ts";
import { keepExitStatuses, signalsToReset } from "./signals.ts";

/** An environment besides this process's own; undefined takes one away. */
export type Variables = Readonly<Record<string, string | undefined>>;

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
  readonly #inherited: readonly EnvironmentString[];
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
    const { block, addresses } = cStrings(program);
    this.#arguments = block;
    this.#argv = pointerTable(addresses);
    this.#inherited = environmentStrings();
    this.#attributes = attributesOf(abi);
    keepExitStatuses();
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
      posixSpawn().posix_spawnp(
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
    posixSpawn().posix_spawnp_beside(
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
    if (code !== E.ENOENT || this.#found === undefined) return false;
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
      actions = new Uint8Array(this.#abi.spawnFileActionsSize);
      must(calls.posix_spawn_file_actions_init(actions));
      must(calls.posix_spawn_file_actions_adddup2(actions, socket, 0));
      must(calls.posix_spawn_file_actions_adddup2(actions, socket, 1));
      this.#actions.set(socket, actions);
    }
    return actions;
  }
}

function attributesOf(abi: Abi): Uint8Array<ArrayBuffer> {
  const calls = posixSpawn();
  const attributes = new Uint8Array(abi.spawnAttributesSize);
  must(calls.posix_spawnattr_init(attributes));
  must(calls.posix_spawnattr_setsigdefault(attributes, signalsToReset(abi)));
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
