/**
 * What signals do to this process, and to the programs that it becomes or starts.
 *
 * @module
 */

import { C } from "./constants.ts";
import { check, fromLibc, fromLibcAtStart } from "./libc.ts";

const atStart = fromLibcAtStart({
  // sighandler_t signal(int signum, sighandler_t handler);
  signal: { parameters: ["i32", "u64"], result: "u64" },
  // unsigned int alarm(unsigned int seconds);
  alarm: { parameters: ["u32"], result: "u32" },
});

const libc = fromLibc({
  // int sigprocmask(int how, const sigset_t *set, sigset_t *oldset);
  // That of this thread: pthread_sigmask is the same function on Linux.
  sigprocmask: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
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
});

/** The action for SIGXFSZ at the start; undefined if it was not changed. */
let fileSizeSignal: bigint | undefined;

/**
 * Makes a file size limit (`ulimit -f`, `softlimit -f`) the error EFBIG instead
 * of the end of the process, until {@linkcode restoreSignals}.
 */
export function ignoreFileSizeSignal(): void {
  fileSizeSignal = atStart.signal(C.SIGXFSZ, C.SIG_IGN);
}

/**
 * Restores the actions for signals that this process was started with, and for
 * SIGPIPE, which the Rust runtime ignores, the default.
 *
 * @returns a function that undoes this
 */
export function restoreSignals(): () => void {
  const { signal } = atStart;
  signal(C.SIGPIPE, C.SIG_DFL);
  if (fileSizeSignal !== undefined) signal(C.SIGXFSZ, fileSizeSignal);
  return () => {
    signal(C.SIGPIPE, C.SIG_IGN);
    if (fileSizeSignal !== undefined) signal(C.SIGXFSZ, C.SIG_IGN);
  };
}

/**
 * When the alarm(2) that this process was started with goes off, in milliseconds of
 * `performance.now()`; undefined until it is known, Infinity for none.
 */
let alarmAtStart: number | undefined;

/**
 * Ends this process after so many seconds, whatever it is waiting for then
 * (alarm(2)).
 */
export function endAfter(seconds: number): void {
  const left = atStart.alarm(Math.ceil(seconds));
  alarmAtStart ??= left === 0 ? Infinity : performance.now() + 1000 * left;
}

/**
 * Takes back {@linkcode endAfter}. An alarm that this process was started with, such
 * as `perl -e 'alarm shift; exec @ARGV'` sets, goes off when it would have.
 */
export function endAsBefore(): void {
  if (alarmAtStart === undefined) return;
  const left = (alarmAtStart - performance.now()) / 1000;
  atStart.alarm(left === Infinity ? 0 : Math.max(1, Math.round(left)));
}

/**
 * A struct sigaction in words of 64 bits; the handler comes first. The kernel's
 * own is smaller.
 */
const SIGACTION_WORDS = 19;

/** Signals that a program gets at their defaults even if this process ignores them. */
const RESET: readonly number[] = [C.SIGPIPE, C.SIGCHLD];

/**
 * The signals that a program gets at their defaults, as a sigset_t. A signal that
 * was ignored at the start stays ignored, except SIGPIPE, which the Rust runtime
 * ignores, SIGCHLD, which tcpserver resets too, and those that this process handles.
 *
 * The set has every other signal, also those at their defaults already: the C
 * library takes longer over a signal that is not in it.
 */
export function signalsToReset(): Uint8Array<ArrayBuffer> {
  const signals: number[] = [];
  const action = new BigUint64Array(SIGACTION_WORDS);
  const bytes = new Uint8Array(action.buffer);
  const call = BigInt(C.SYS_RT_SIGACTION);
  for (let signal = 1; signal <= C.SIGRTMAX; signal++) {
    // The C library's function refuses its own signals, 32 and 33.
    libc().rt_sigaction(call, signal, null, bytes, 8n);
    const changed = signal === C.SIGXFSZ ? fileSizeSignal : undefined;
    const ignored = (changed ?? action[0]) === C.SIG_IGN;
    if (!ignored || RESET.includes(signal)) signals.push(signal);
  }
  return setOf(signals);
}

/**
 * Makes the kernel keep the exit status of a child until it is asked for. If this
 * process was started with SIGCHLD ignored, the kernel would discard the status
 * (wait(2)), so SIGCHLD gets its default action. A handler for SIGCHLD stays.
 */
export function keepExitStatuses(): void {
  const { sigaction } = libc();
  const action = new BigUint64Array(SIGACTION_WORDS);
  sigaction(C.SIGCHLD, null, new Uint8Array(action.buffer));
  if (action[0] !== C.SIG_IGN) return;
  const byDefault = new Uint8Array(8 * SIGACTION_WORDS);
  sigaction(C.SIGCHLD, byDefault, null);
}

/** Signals that tell a listener to end. */
export const ENDING: readonly number[] = [C.SIGINT, C.SIGTERM];

/** Signals that a listener has handlers for. */
export const HANDLED: readonly number[] = [...ENDING, C.SIGHUP, C.SIGUSR2];

function setOf(signals: readonly number[]): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(C.SIGSET_SIZE);
  for (const signal of signals) {
    set[(signal - 1) >> 3] |= 1 << ((signal - 1) & 7);
  }
  return set;
}

/**
 * Blocks signals in this thread. In a program that this process becomes, they are
 * still blocked, and signals that have come meanwhile are pending (execve(2)).
 *
 * @returns a function that undoes this
 * @throws {LibcError}
 */
export function blockSignals(signals: readonly number[]): () => void {
  const { sigprocmask } = libc();
  const before = new Uint8Array(C.SIGSET_SIZE);
  check("sigprocmask", sigprocmask(C.SIG_BLOCK, setOf(signals), before));
  return () => {
    sigprocmask(C.SIG_SETMASK, before, null);
  };
}

/**
 * Lets signals through that were blocked when this process began.
 *
 * @throws {LibcError}
 */
export function unblockSignals(signals: readonly number[]): void {
  const { sigprocmask } = libc();
  check("sigprocmask", sigprocmask(C.SIG_UNBLOCK, setOf(signals), null));
}

/**
 * Gives signals their default action in place of their handlers: to end this
 * process.
 *
 * @returns a function that restores the handlers
 * @throws {LibcError}
 */
export function endOn(signals: readonly number[]): () => void {
  const { sigaction } = libc();
  const byDefault = new Uint8Array(8 * SIGACTION_WORDS);
  const handlers = signals.map((signal) => {
    const handler = new Uint8Array(8 * SIGACTION_WORDS);
    check("sigaction", sigaction(signal, byDefault, handler));
    return { signal, handler };
  });
  return () => {
    for (const { signal, handler } of handlers) {
      sigaction(signal, handler, null);
    }
  };
}
