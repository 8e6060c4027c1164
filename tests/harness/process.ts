/**
 * Programs that the tests start, and conditions that they wait for.
 *
 * @module
 */

export { freePort } from "../../lib/build/ports.ts";

/**
 * How long anything may take before a test gives up, in seconds. The alarm that
 * ends a wrapper that hangs would come later.
 */
export const DEADLINE = 60;

/**
 * The program that leads a process group of its own and ends all of it when the
 * time is over, even if the tests have ended. By its path, since the PATH of the
 * program may be another.
 */
const TIMEOUT = "/usr/bin/timeout";

/** How long a server of a test runs at most by default, in seconds. */
const LIFE = 900;

/**
 * Waits until a condition holds.
 *
 * @param what the name of the condition, for the error
 * @param patience how long, in seconds
 * @returns what the condition gave, which is not undefined and not false
 * @throws {Error} if it does not hold in time
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  patience: number = DEADLINE,
): Promise<T> {
  const end = Date.now() + patience * 1000;
  while (true) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** The exit code and the output of a program. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The input, environment and time limit of a program. */
export interface RunOptions {
  /** Bytes on its standard input. */
  readonly input?: string | Uint8Array;
  /** Its whole environment besides PATH; without it, this process's own. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** How long it may take, in seconds; {@linkcode DEADLINE} if not given. */
  readonly patience?: number;
}

/**
 * Runs a program to its end. When its time is over, it ends with all that it
 * started in its process group, and the exit code is that of SIGKILL.
 */
export async function run(
  command: readonly string[],
  { input = "", env, cwd, patience = DEADLINE }: RunOptions = {},
): Promise<Outcome> {
  const child = new Deno.Command(TIMEOUT, {
    args: ["--signal=KILL", String(patience), ...command],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    cwd,
    ...(env && {
      clearEnv: true,
      env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", ...env },
    }),
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  const bytes = typeof input === "string"
    ? new TextEncoder().encode(input)
    : input;
  // A program that does not read its input to the end is no failure.
  await writer.write(bytes).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await output;
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** A server that runs while a test does. */
export interface Server extends AsyncDisposable {
  /** Its process id. */
  readonly pid: number;
  /** The exit code, if the server ends by itself. */
  readonly code: Promise<number>;
}

/**
 * Starts a server. It ends, with all that it started in its process group, when
 * it is disposed of, and by itself some minutes later.
 *
 * @param stderr the file that its standard error is added to
 * @param life how long it runs at most, in seconds
 */
export function startServer(
  command: readonly string[],
  stderr: string,
  env: Record<string, string> = {},
  life: number = LIFE,
): Server {
  const child = new Deno.Command(TIMEOUT, {
    args: [
      "--kill-after=5",
      String(life),
      "sh",
      "-c",
      'exec "$@" 2>>"$0"',
      stderr,
      ...command,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    env,
  }).spawn();
  return {
    code: child.status.then(({ code }) => code),
    get pid() {
      const children = `/proc/${child.pid}/task/${child.pid}/children`;
      return Number(Deno.readTextFileSync(children).split(" ")[0]);
    },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended already.
      }
      await child.status;
    },
  };
}

/** One line of the kernel's table of TCP sockets. */
interface TcpSocket {
  readonly port: number;
  /** A number in hexadecimal, as in include/net/tcp_states.h. */
  readonly state: string;
  /** Whether a process has the socket open. */
  readonly owned: boolean;
  /** How many bytes the other end has not acknowledged, those that wait included. */
  readonly unsent: number;
}

function tcpSockets(): TcpSocket[] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) =>
    Deno.readTextFileSync(table).trimEnd().split("\n").slice(1).map((line) => {
      const fields = line.trim().split(/\s+/);
      const [, local, , state] = fields;
      const port = parseInt(local.slice(local.lastIndexOf(":") + 1), 16);
      const unsent = parseInt(fields[4], 16);
      return { port, state, owned: fields[9] !== "0", unsent };
    })
  );
}

const LISTENING = "0A";

/** Established, on the way to that, or half closed by the client. */
const NOT_CLOSED = ["01", "03", "08"];

/** Whether a process listens on a TCP port of this machine. */
export function isListening(port: number): boolean {
  return tcpSockets().some((socket) =>
    socket.port === port && socket.state === LISTENING
  );
}

/**
 * How many connections to a port its server has open now, or is yet to accept.
 */
export function connectionsTo(port: number): number {
  return tcpSockets().filter((socket) =>
    socket.port === port && socket.state !== LISTENING &&
    (socket.owned || NOT_CLOSED.includes(socket.state))
  ).length;
}

/** How many bytes the kernel keeps for the clients of a server. */
export function unsentBy(port: number): number {
  return tcpSockets().reduce(
    (sum, socket) =>
      socket.port === port && socket.state !== LISTENING
        ? sum + socket.unsent
        : sum,
    0,
  );
}

/** Waits until a server has closed all of its connections. */
export async function hungUp(port: number): Promise<void> {
  await waitFor(
    `the end of all connections to ${port}`,
    () => connectionsTo(port) === 0,
  );
}

/** Reads a thread's file in /proc; undefined if the thread has ended. */
function readOfTask(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    // ESRCH: it ended while the file was open.
    const isGone = error instanceof Deno.errors.NotFound ||
      (error as Error).message.includes("os error 3)");
    if (isGone) return undefined;
    throw error;
  }
}

/** The ids of a process's children, zombies included. */
export function childrenOf(pid: number): number[] {
  return [...Deno.readDirSync(`/proc/${pid}/task`)].flatMap(({ name }) => {
    // Another thread has the children of one that has ended (wait(2)).
    const text = readOfTask(`/proc/${pid}/task/${name}/children`) ?? "";
    return text.split(" ").slice(0, -1).map(Number);
  });
}

/** The text of /proc/PID/status of each thread of a process, by its id. */
export function statusesOf(pid: number): Map<number, string> {
  const statuses = new Map<number, string>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const text = readOfTask(`/proc/${pid}/task/${name}/status`);
    if (text !== undefined) statuses.set(Number(name), text);
  }
  return statuses;
}

/** What a process's descriptors are, as the kernel names them. */
export function descriptorsOf(pid: number): string[] {
  return Array.from(Deno.readDirSync(`/proc/${pid}/fd`), ({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      return "closed";
    }
  });
}

/** The ids of the processes that run an executable or its stand-in now. */
export function processesOf(executable: string): number[] {
  const runtime = `${executable.slice(0, executable.lastIndexOf("/"))}/deno`;
  return processesThat((exe) => exe === executable || exe === runtime);
}

/** The ids of the processes that run an executable below a directory now. */
export function processesBelow(directory: string): number[] {
  return processesThat((exe) => exe.startsWith(`${directory}/`));
}

function processesThat(runs: (executable: string) => boolean): number[] {
  const pids: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (runs(Deno.readLinkSync(`/proc/${name}/exe`))) pids.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return pids;
}

/**
 * Whether a thread of a process runs, or is about to. A process that has handed
 * something to another of its threads has one that runs until that is done.
 */
function isRunning(pid: number): boolean {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/task`)].some(({ name }) => {
      const thread = `/proc/${pid}/task/${name}`;
      const stat = Deno.readTextFileSync(`${thread}/stat`);
      // The state stands behind the name of the program, which is in parentheses.
      const state = stat[stat.lastIndexOf(")") + 2];
      // State D counts only for a line of the log, which a busy disk may take slowly:
      // a thread is also in it while the program that it starts has not begun
      // (vfork(2)), and while a file system of a test hangs.
      return state === "R" || state === "D" && isWriting(thread);
    });
  } catch {
    // The process or one of its threads has ended meanwhile.
    return true;
  }
}

/** The number of write(2). */
const WRITE = Deno.build.arch === "aarch64" ? "64" : "1";

/** Whether a thread, named by its directory in /proc, is in a call of write(2). */
function isWriting(thread: string): boolean {
  try {
    return Deno.readTextFileSync(`${thread}/syscall`).startsWith(`${WRITE} `);
  } catch {
    // Not every kernel tells everyone.
    return false;
  }
}

/** Whether all processes that run an executable wait for something to happen. */
export function areAtRest(executable: string): boolean {
  return !processesOf(executable).some(isRunning);
}

/**
 * Waits until no process runs an executable any more.
 *
 * @param but how many may stay, because they listen
 */
export async function gone(executable: string, but = 0): Promise<void> {
  await waitFor(
    `the end of all processes of ${executable}`,
    () => processesOf(executable).length <= but,
  );
}
