/**
 * Programs that are started as a super-server starts them, with a socket as
 * standard input and output, and what they took. Deno can give a child pipes
 * only, and does not tell what it used, so the C library does both.
 *
 * @module
 */

import { C } from "../../system/constants.ts";
import {
  addressOf,
  cString,
  cStrings,
  fromLibc,
  pointerTable,
} from "../../system/libc.ts";
import { posixSpawn } from "../../system/posix_spawn.ts";
import { DIRS, findInstalled } from "../find_installed.ts";
import type { Sample } from "./statistics.ts";

const libc = fromLibc({
  // pid_t wait4(pid_t pid, int *wstatus, int options, struct rusage *rusage);
  wait4: {
    parameters: ["i32", "buffer", "i32", "buffer"],
    result: "i32",
    nonblocking: true,
  },
});

/** A program that is not installed; the message says so. */
class NotInstalled extends Error {
  constructor(name: string) {
    super(`${name} is not installed`);
  }
}

/** What a program is started with. */
export interface Start {
  /** Looked for on PATH. */
  readonly argv: readonly string[];
  /** Its whole environment besides PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input and output; /dev/null and `output` without it. */
  readonly socket?: number;
  /** A file that standard output is added to; without it, /dev/null. */
  readonly output?: string;
  /** A file that standard error is added to. */
  readonly errors: string;
}

/** How a program ended. */
export interface Ended extends Sample {
  /** Its exit code; 128 plus the signal's number if a signal ended it. */
  readonly code: number;
}

/** All that was started and has not ended. */
const running = new Set<Process>();

/** Ends all that was started and has not ended. */
export function killAll(): void {
  for (const process of running) process.kill("SIGKILL");
}

/** A program that runs, the first of a process group of its own. */
export class Process {
  readonly pid: number;
  readonly #started: number;
  #ended: Promise<Ended> | undefined;

  /**
   * @throws {NotInstalled}
   * @throws {Error} if it cannot be started
   */
  constructor(start: Start) {
    const path = findInstalled(start.argv[0]);
    if (path === undefined) throw new NotInstalled(start.argv[0]);
    this.#started = performance.now();
    this.pid = spawn(path, start);
    running.add(this);
  }

  /** Sends a signal to the program and to all that it has started. */
  kill(signal: "SIGTERM" | "SIGKILL"): void {
    if (!running.has(this)) return;
    try {
      Deno.kill(-this.pid, signal);
    } catch {
      // It has just ended.
    }
  }

  /**
   * Waits for its end.
   *
   * @param timeout seconds after which it is killed
   */
  ended(timeout: number): Promise<Ended> {
    return this.#ended ??= this.#wait(timeout);
  }

  async #wait(timeout: number): Promise<Ended> {
    const timer = setTimeout(() => this.kill("SIGKILL"), timeout * 1000);
    // struct rusage, the same on all 64-bit Linux: getrusage(2).
    const usage = new DataView(new ArrayBuffer(144));
    const status = new Uint8Array(128);
    const bytes = new Uint8Array(usage.buffer);
    const pid = await libc().wait4(this.pid, status, 0, bytes);
    const wall = performance.now() - this.#started;
    clearTimeout(timer);
    running.delete(this);
    if (pid !== this.pid) throw new Error(`lost track of process ${this.pid}`);
    const milliseconds = (at: number) =>
      Number(usage.getBigInt64(at, true)) * 1000 +
      Number(usage.getBigInt64(at + 8, true)) / 1000;
    const [signal, code] = status;
    return {
      code: (signal & 0x7f) === 0 ? code : 128 + (signal & 0x7f),
      cpu: milliseconds(0) + milliseconds(16),
      wall,
    };
  }
}

function spawn(path: string, start: Start): number {
  const { argv, env = {}, socket, output = "/dev/null", errors } = start;
  const calls = posixSpawn();
  const pid = new Uint8Array(4);
  const actions = new Uint8Array(C.POSIX_SPAWN_FILE_ACTIONS_SIZE);
  const attributes = new Uint8Array(C.POSIX_SPAWNATTR_SIZE);
  const signals = new Uint8Array(C.SIGSET_SIZE);
  signals[(C.SIGPIPE - 1) >> 3] = 1 << ((C.SIGPIPE - 1) & 7);
  const flags = C.O_WRONLY | C.O_CREAT | C.O_APPEND;
  const open = (fd: number, path: string, flags: number) =>
    calls.posix_spawn_file_actions_addopen(
      actions,
      fd,
      cString(path),
      flags,
      0o600,
    );
  const dup = (fd: number, as: number) =>
    calls.posix_spawn_file_actions_adddup2(actions, fd, as);
  // Each gives an errno, not -1.
  let error = calls.posix_spawn_file_actions_init(actions) ||
    (socket === undefined
      ? open(0, "/dev/null", 0) || open(1, output, flags)
      : dup(socket, 0) || dup(socket, 1)) ||
    open(2, errors, flags) ||
    calls.posix_spawnattr_init(attributes) ||
    // The Rust runtime ignores SIGPIPE, and a child would inherit that.
    calls.posix_spawnattr_setsigdefault(attributes, signals) ||
    calls.posix_spawnattr_setflags(
      attributes,
      C.POSIX_SPAWN_SETPGROUP | C.POSIX_SPAWN_SETSIGDEF,
    );
  const variables = Object.entries({ PATH: DIRS.join(":"), ...env });
  const arguments_ = cStrings(argv);
  const environment = cStrings(variables.map((pair) => pair.join("=")));
  const envp = pointerTable(environment.addresses);
  error ||= calls.posix_spawnp(
    pid,
    cString(path),
    actions,
    attributes,
    pointerTable(arguments_.addresses),
    addressOf(envp),
  );
  calls.posix_spawn_file_actions_destroy(actions);
  if (error !== 0) throw new Error(`${path}: cannot start (error ${error})`);
  return new DataView(pid.buffer).getInt32(0, true);
}
