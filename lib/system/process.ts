/**
 * What this process becomes, and what ends it.
 *
 * @module
 */

import { cStrings, errno, fromLibc, LibcError, pointerTable } from "./libc.ts";

// Linux, the same on x86_64 and aarch64 except where it says otherwise.
const SIGPIPE = 13;
const SIGXFSZ = 25;
const SIG_DFL = 0n;
const SIG_IGN = 1n;

const libc = fromLibc({
  // sighandler_t signal(int signum, sighandler_t handler);
  signal: { parameters: ["i32", "u64"], result: "u64" },
  // int execvp(const char *file, char *const argv[]);
  execvp: { parameters: ["buffer", "buffer"], result: "i32" },
  // unsigned int alarm(unsigned int seconds);
  alarm: { parameters: ["u32"], result: "u32" },
});

/** What SIGXFSZ did before; undefined where it still does. */
let fileSizeSignal: bigint | undefined;

/**
 * Makes a file size limit (`ulimit -f`, `softlimit -f`) the error EFBIG instead
 * of the end of the process, until {@linkcode exec}.
 */
export function ignoreFileSizeSignal(): void {
  fileSizeSignal = libc.signal(SIGXFSZ, SIG_IGN);
}

/**
 * Becomes another program: execve(2) with the environment as it is, the program
 * found on PATH as execvp(3) does. Signals are what they were, and SIGPIPE,
 * which the Rust runtime ignores, is default again.
 *
 * @returns only where it failed
 */
export function exec(argv: string[]): LibcError {
  const { block, places } = cStrings(argv);
  libc.signal(SIGPIPE, SIG_DFL);
  if (fileSizeSignal !== undefined) libc.signal(SIGXFSZ, fileSizeSignal);
  // The program's name is the first of the strings.
  libc.execvp(block, pointerTable(places));
  const error = new LibcError("exec", errno());
  libc.signal(SIGPIPE, SIG_IGN);
  if (fileSizeSignal !== undefined) libc.signal(SIGXFSZ, SIG_IGN);
  return error;
}

/**
 * Ends this process after so many seconds, whatever it is waiting for then
 * (alarm(2)).
 */
export function endAfter(seconds: number): void {
  libc.alarm(Math.ceil(seconds));
}
