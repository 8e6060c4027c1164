/**
 * Holds the dialogue with a deferred client over standard input and output, with
 * its time limits.
 *
 * @module
 */

import type { Dialogue } from "./dialogue.ts";
import { poll, POLLIN, POLLOUT } from "../system/descriptor.ts";
import { endAfter } from "../system/signals.ts";
import { shutdownWriting } from "../system/transfer.ts";
import { encode } from "../system/utf8.ts";

/** How long a client may take, in seconds. */
export interface Patience {
  /** For one command, or to read one reply. */
  readonly idleTimeout: number;
  /** For the whole session. */
  readonly sessionTimeout: number;
}

/**
 * PIPE_BUF: poll(2) promises that a write of so many bytes does not block if nobody
 * else writes.
 */
const PIECE = 4096;

/**
 * How much longer than its limit a dialogue may take before SIGALRM ends the
 * process, in seconds. That happens only if a call blocks although poll(2) said
 * that it would not. A client whose connection just ends tries again later.
 */
const LAST_RESORT = 60;

/** How long a client has to hang up after the last reply, in seconds. */
export const FAREWELL = 2;

/**
 * Holds the dialogue until it is done, the client is gone or the time is over.
 * Whatever the client does, this returns.
 *
 * @param speaker the server's side
 */
export function converse(
  speaker: Pick<Dialogue, "done" | "greeting" | "receive" | "timeout">,
  patience: Patience,
): void {
  endAfter(patience.sessionTimeout + LAST_RESORT);
  const end = performance.now() + patience.sessionTimeout * 1000;
  /** How long to wait now, in milliseconds. */
  const wait = () =>
    Math.min(patience.idleTimeout * 1000, end - performance.now());
  const chunk = new Uint8Array(PIECE);
  try {
    send(speaker.greeting(), wait);
    while (!speaker.done) {
      const left = wait();
      // The limit is checked before each poll, because a client that sends without
      // pause never makes poll(2) wait.
      if (left <= 0 || !poll(0, POLLIN, left)) {
        // One try: a client that does not read must not hold this up once more.
        send(speaker.timeout(), () => 0);
        break;
      }
      const length = Deno.stdin.readSync(chunk);
      if (length === null) return;
      send(speaker.receive(chunk.subarray(0, length)), wait);
    }
    hangUp();
  } catch {
    // The client is gone, or does not read.
  }
}

/**
 * Sends one reply and hangs up.
 *
 * @param reply with its line end
 * @param timeout how long the client may take to read it, in seconds
 */
export function sayOnce(reply: string, timeout: number): void {
  endAfter(timeout + LAST_RESORT);
  try {
    send(reply, () => timeout * 1000);
    hangUp();
  } catch {
    // The client is gone, or does not read.
  }
}

function send(text: string, wait: () => number): void {
  let bytes: Uint8Array = encode(text);
  while (bytes.length > 0) {
    // Even if no time is left, the octets that the client takes at once are sent.
    if (!poll(1, POLLOUT, wait())) {
      throw new Error("the client does not read");
    }
    bytes = bytes.subarray(Deno.stdout.writeSync(bytes.subarray(0, PIECE)));
  }
}

/**
 * Lets the last reply arrive. If a socket is closed while unread data is in its
 * buffer, the kernel resets the connection, and the client may lose the reply.
 */
function hangUp(): void {
  if (!shutdownWriting(1)) return;
  const end = performance.now() + FAREWELL * 1000;
  const chunk = new Uint8Array(65536);
  while (poll(0, POLLIN, end - performance.now())) {
    if (Deno.stdin.readSync(chunk) === null) return;
    if (performance.now() >= end) return;
  }
}
