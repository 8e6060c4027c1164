/**
 * A mail server that sends, as the tests see it; senders.ts has the programs.
 *
 * @module
 */

import { type Needs, programPath } from "./need.ts";
import { isListening, run, startServer, waitFor } from "./process.ts";
import { writeFile } from "./root.ts";

/** A mail server that runs. */
export interface Sender extends AsyncDisposable {
  /** The port on which it takes mail. */
  readonly port: number;
  /** Whether its log says that a recipient has to be tried again. */
  isDeferred(recipient: string): boolean;
  /** How many messages are in its queue. */
  queued(): number;
  /** Runs its queue now, if it cannot be configured to do so often. */
  retry(): Promise<void>;
  /** The end of its log, for the report of a failure. */
  lastWords(): string;
  /** The lines of its log about mail that it gave up. */
  failures(): string[];
}

/** How a sender is to be started. */
export interface SenderOptions {
  /** The port that everything is sent to. */
  readonly to: number;
  /** Sends nothing without TLS. */
  readonly tls?: boolean;
  /** Sends one message after the other over one connection, without TLS. */
  readonly reuse?: boolean;
}

/** One mail server. */
export interface SenderKind extends Needs {
  readonly name: string;
  /** Whether it supports SMTPUTF8 (RFC 6531). */
  readonly takesUtf8: boolean;
  /** Whether it sends several messages over one connection. */
  readonly reuses: boolean;
  start(options: SenderOptions): Promise<Sender>;
}

function lines(path: string): string[] {
  try {
    // Addresses beyond ASCII stand there as they are, or byte for byte.
    return Deno.readTextFileSync(path).split("\n");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** How many files with such a name are below a directory. */
function countFiles(dir: string, name: RegExp): number {
  let count = 0;
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(dir)];
  } catch {
    return 0; // A directory of a queue may be removed at any time.
  }
  for (const entry of entries) {
    if (entry.isDirectory) count += countFiles(`${dir}/${entry.name}`, name);
    else if (name.test(entry.name)) count++;
  }
  return count;
}

/** Makes a user the owner of files. */
export async function own(user: string, ...paths: string[]): Promise<void> {
  const { code, stderr } = await run(["chown", "-R", user, ...paths]);
  if (code !== 0) throw new Error(stderr);
}

/** How a mail server runs, and how its files are to be read. */
export interface Started {
  readonly command: string[];
  readonly port: number;
  readonly log: string;
  readonly env?: Record<string, string>;
  readonly deferred: (recipient: string) => (line: string) => boolean;
  readonly failed: RegExp;
  readonly queue: { dirs: string[]; name: RegExp };
  readonly retry?: (pid: number) => Promise<unknown>;
}

/** Starts a mail server and waits until it takes mail. */
export async function start(name: string, what: Started): Promise<Sender> {
  const errors = writeFile(`${name}/stderr`, "");
  const server = startServer(what.command, errors, what.env);
  const sender: Sender = {
    port: what.port,
    isDeferred: (recipient) => lines(what.log).some(what.deferred(recipient)),
    queued: () => {
      const { dirs, name } = what.queue;
      return dirs.reduce((sum, dir) => sum + countFiles(dir, name), 0);
    },
    retry: async () => void await what.retry?.(server.pid),
    lastWords: () => lines(what.log).slice(-40).join("\n"),
    failures: () => lines(what.log).filter((line) => what.failed.test(line)),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
  try {
    await waitFor(`${name} to listen`, () => isListening(what.port));
  } catch (error) {
    await sender[Symbol.asyncDispose]();
    const said = [...lines(errors), ...lines(what.log)].join("\n");
    throw new Error(`${(error as Error).message}: ${said}`);
  }
  return sender;
}

/** The directory below which a package was unpacked; "" if it is installed. */
export function prefixOf(program: string): string {
  return Deno.realPathSync(programPath(program)).replace(/\/usr\/.*/, "");
}
