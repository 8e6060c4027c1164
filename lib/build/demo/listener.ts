/**
 * The part of tcpserver(1) that the demo needs: accepts a connection and starts
 * a program that has the socket itself as standard input and output.
 *
 * @module
 */

import { parseAddress } from "../../address.ts";
import { takeExitStatus } from "../../system/child.ts";
import { isSupported } from "../../system/constants.ts";
import { close, poll, POLLIN } from "../../system/descriptor.ts";
import { accept, listenOn } from "../../system/listener.ts";
import { sleep } from "../../system/sleep.ts";
import { localOf } from "../../system/socket.ts";
import { tcpEnvironment } from "../../serve/tcp_environment.ts";
import { ChildProgram } from "../../system/spawn.ts";

/** How long a connection or a program's end is waited for, in milliseconds. */
const PATIENCE = 10_000;

/** A program to start: an absolute path, and its arguments. */
export type Program = readonly [path: string, ...args: string[]];

/** A socket that listens on 127.0.0.1. */
export class Listener implements Disposable {
  readonly #fd: number;
  /** The TCP port, one that was free. */
  readonly port: number;

  /** @throws {Error} if that is not possible here */
  constructor() {
    if (!isSupported(Deno.build)) {
      throw new Error("expected Linux on x86_64 or arm64");
    }
    const address = parseAddress("127.0.0.1")!;
    this.#fd = listenOn({ address, port: 0 }, 16);
    this.port = localOf(this.#fd)!.port;
  }

  /**
   * Accepts one connection and starts a program for it, with the environment
   * of tcp-environ(5) as far as no names are looked up, and PATH.
   *
   * @param stderr a file that the program's standard error is added to
   * @returns the process id; {@linkcode ended} has to be called with it
   * @throws {LibcError} if the program cannot be started, for example
   * @throws {Error} if no client connects
   */
  serve(program: Program, stderr: string): number {
    if (!poll(this.#fd, POLLIN, PATIENCE)) throw new Error("nobody connects");
    const accepted = accept(this.#fd);
    if (typeof accepted === "string") throw new Error("the client has gone");
    const { fd, peer } = accepted;
    try {
      const local = localOf(fd);
      if (local === undefined) throw new Error("the client has gone");
      const variables = Object.entries(tcpEnvironment({ peer, local }))
        .flatMap(([name, value]) =>
          value === undefined ? [] : `${name}=${value}`
        );
      const path = `PATH=${Deno.env.get("PATH") ?? "/usr/bin:/bin"}`;
      // Each program of the line becomes the next with exec, as greylist does.
      const line = ["sh", "-c", 'exec "$@" 2>>"$0"', stderr];
      const clean = ["env", "-i", path, ...variables];
      const whole = [...line, ...clean, ...program];
      return new ChildProgram(whole).spawn(fd, {});
    } finally {
      close(fd);
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/**
 * Waits for the end of a program that {@linkcode Listener.serve} started.
 *
 * @returns its exit code; 128 plus the signal's number if a signal ended it;
 * undefined if it runs on
 */
export async function ended(pid: number): Promise<number | undefined> {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const how = takeExitStatus(pid);
    if (how !== undefined) return how.code ?? 128 + (how.signal ?? 0);
    await sleep(5);
  }
  return undefined;
}
