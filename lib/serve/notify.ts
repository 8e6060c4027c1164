/**
 * Tells the service manager what `serve` does, as sd_notify(3) describes. A message
 * is one datagram, which never waits; a message that is lost is no reason to stop.
 *
 * @module
 */

import { reasonOf } from "../reason.ts";
import { E } from "../system/constants.ts";
import { sendDatagram } from "../system/datagram.ts";
import { variable } from "../system/environment.ts";
import { isErrno } from "../system/libc.ts";
import { monotonicMicroseconds } from "../system/monotonic.ts";
import { encode } from "../system/utf8.ts";
import {
  ALIVE,
  NOTIFY_VARIABLES,
  type NotifyVariables,
  ready,
  reloading,
  stopping,
  tickInterval,
} from "./notify_message.ts";

/**
 * Takes the variables of the service manager out of the environment, so that no
 * program that this process starts can speak for it.
 */
export function takeNotifyVariables(): NotifyVariables {
  const taken: Record<string, string> = {};
  for (const name of NOTIFY_VARIABLES) {
    const value = variable(name);
    if (value === undefined) continue;
    taken[name] = value;
    Deno.env.delete(name);
  }
  return taken;
}

/** When a message that could not be sent is sent again, in milliseconds. */
const RETRY = 1000;

/** The service manager, or none. Times are milliseconds of `performance.now()`. */
export class Notify {
  readonly #socket: string | undefined;
  readonly #interval: number | undefined;
  readonly #warn: (what: string) => void;
  readonly #wake: () => void;
  /** When {@linkcode ALIVE} is due. */
  #next = Infinity;
  #isStopping = false;
  #hasFailed = false;
  /** The states that could not be sent, oldest first. */
  #unsent: (() => string)[] = [];
  /** When they are sent again. */
  #retryAt = Infinity;

  /**
   * @param warn is told of the first message that could not be sent
   * @param wake is called when {@linkcode next} may have changed
   */
  constructor(
    variables: NotifyVariables,
    warn: (what: string) => void,
    wake: () => void,
  ) {
    this.#socket = variables.NOTIFY_SOCKET;
    this.#interval = tickInterval(variables, Deno.pid);
    this.#warn = warn;
    this.#wake = wake;
  }

  /** Clients are served from now on, with all files read. */
  ready(status: string): void {
    if (this.#isStopping) return;
    if (this.#interval !== undefined) this.#next = performance.now();
    this.#tell(() => ready(status));
  }

  /** Files are read again; {@linkcode ready} has to follow. */
  reloading(status: string): void {
    if (this.#isStopping) return;
    // A READY that was not sent yet is void now, and so is a RELOADING before it.
    this.#unsent = [];
    this.#tell(() => reloading(monotonicMicroseconds(), status));
  }

  /** The process ends once its last client has gone. */
  stopping(status: string): void {
    this.#isStopping = true;
    this.#unsent = [];
    this.#tell(() => stopping(status));
  }

  /** When {@linkcode expire} has something to do. */
  next(): number {
    return Math.min(this.#next, this.#retryAt);
  }

  /**
   * Says that the event loop is alive, if it is time to, and again what could not
   * be sent. Only the event loop may call this: a loop that stands still must not
   * look alive.
   */
  expire(now: number): void {
    if (now >= this.#retryAt) this.#sendStates();
    if (this.#interval === undefined || now < this.#next) return;
    // The next tick would come when the service manager's time is over.
    this.#next = now +
      (this.#send(() => ALIVE)
        ? Math.min(RETRY, this.#interval / 2)
        : this.#interval);
  }

  /** Tells a state: without READY, the service manager ends the service. */
  #tell(state: () => string): void {
    this.#unsent.push(state);
    this.#sendStates();
    this.#wake();
  }

  /** Sends states in their order: a READY alone does not end a reload. */
  #sendStates(): void {
    while (this.#unsent.length > 0 && !this.#send(this.#unsent[0])) {
      this.#unsent.shift();
    }
    this.#retryAt = this.#unsent.length > 0
      ? performance.now() + RETRY
      : Infinity;
  }

  /** @returns whether the manager did not take the message, and may take it later */
  #send(message: () => string): boolean {
    const socket = this.#socket;
    if (socket === undefined || socket === "") return false;
    try {
      sendDatagram(socket, encode(message()));
      return false;
    } catch (error) {
      if (!this.#hasFailed) this.#warn(`NOTIFY_SOCKET: ${reasonOf(error)}`);
      this.#hasFailed = true;
      // Its queue is full.
      return isErrno(error, E.EAGAIN);
    }
  }
}
