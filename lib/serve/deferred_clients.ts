/**
 * The clients that are being deferred, all in this process. Each takes a few
 * kilobytes, and none waits for another.
 *
 * @module
 */

import { FAREWELL, type Patience } from "../smtp/conversation.ts";
import type { Dialogue } from "../smtp/dialogue.ts";
import { type Epoll, READABLE, WRITABLE } from "../system/epoll.ts";
import { receive, send, shutdownWriting } from "../system/transfer.ts";
import { Deadlines } from "./deadlines.ts";

/**
 * How long a client has to hang up after the last reply when this program stops, in
 * milliseconds.
 */
const LAST_FAREWELL = 200;

/**
 * How many clients that have had their last reply may stay connected. For each
 * client beyond that, the one that had its last reply first is closed. When this
 * program stops, all get their last reply at once, and only the time is limited.
 */
const MAX_FAREWELLS = 256;

/**
 * How many bytes of a client are read before it is the next client's turn: as long
 * as a command may be (RFC 5321, section 4.5.3.1.4). While 400 clients sent NOOP
 * without end, others waited 50 ms for their banner, and 170 ms with 4,096 bytes.
 */
const PIECE = 512;

/** The server's side of a dialogue. */
export type Speaker = Pick<
  Dialogue,
  "done" | "quit" | "greeting" | "receive" | "timeout" | "shutdown"
>;

interface Client {
  readonly fd: number;
  readonly speaker: Speaker;
  /** What the connection has not taken yet. */
  unsent: string;
  /** The events that it is watched for. */
  events: number;
  /** Whether there may be more to read than the last piece. */
  hasMore: boolean;
  /** Whether the last reply is sent and only the client's hanging up is awaited. */
  leaving: boolean;
  /** Called when the dialogue is over. */
  finished(): void;
  /** Called when the connection is closed. */
  closed(): void;
}

/** All deferred clients, by their descriptor. Times are milliseconds. */
export class DeferredClients {
  readonly #epoll: Epoll;
  readonly #hasCopies: () => boolean;
  readonly #clients = new Map<number, Client>();
  readonly #idle: Deadlines;
  readonly #session: Deadlines;
  #farewell = new Deadlines(FAREWELL * 1000);
  #farewells = 0;
  #mostFarewells = MAX_FAREWELLS;

  /** @param hasCopies whether a child process may have copies of descriptors now */
  constructor(
    epoll: Epoll,
    { idleTimeout, sessionTimeout }: Patience,
    hasCopies: () => boolean,
  ) {
    this.#epoll = epoll;
    this.#hasCopies = hasCopies;
    this.#idle = new Deadlines(idleTimeout * 1000);
    this.#session = new Deadlines(sessionTimeout * 1000);
  }

  /** The number of clients. */
  get size(): number {
    return this.#clients.size;
  }

  /** Whether a descriptor is that of a deferred client. */
  has(fd: number): boolean {
    return this.#clients.has(fd);
  }

  /**
   * Begins the dialogue with a client.
   *
   * @param now from `performance.now()`
   * @param callbacks `finished` is called when the dialogue is over, `closed` when
   * the connection is closed
   * @throws {LibcError} if it cannot be watched; then it is not taken
   */
  add(
    fd: number,
    speaker: Speaker,
    now: number,
    callbacks: Pick<Client, "finished" | "closed">,
  ): void {
    this.#epoll.add(fd, READABLE);
    const client: Client = {
      ...callbacks,
      fd,
      speaker,
      unsent: "",
      events: READABLE,
      hasMore: false,
      leaving: false,
    };
    this.#clients.set(fd, client);
    this.#idle.start(fd, now);
    this.#session.start(fd, now);
    this.#send(client, speaker.greeting(), now);
  }

  /** Continues with a client that has sent something, or takes more. */
  ready(fd: number, now: number): void {
    const client = this.#clients.get(fd);
    if (client === undefined) return;
    if (client.unsent !== "") {
      this.#send(client, "", now);
      return;
    }
    const bytes = receive(fd, client.leaving ? undefined : PIECE);
    if (bytes === "gone") this.#close(client);
    else if (bytes !== undefined && !client.leaving) {
      client.hasMore = bytes.length === PIECE;
      this.#idle.start(fd, now);
      this.#send(client, client.speaker.receive(bytes), now);
    }
  }

  /** When {@linkcode expire} has something to do; Infinity for never. */
  next(): number {
    return Math.min(
      this.#idle.next(),
      this.#session.next(),
      this.#farewell.next(),
    );
  }

  /** Ends dialogues that have taken too long. */
  expire(now: number): void {
    for (const deadlines of [this.#idle, this.#session]) {
      for (const fd of deadlines.expired(now)) {
        const client = this.#clients.get(fd)!;
        this.#end(client, client.speaker.timeout(), now);
      }
    }
    for (const fd of this.#farewell.expired(now)) {
      this.#close(this.#clients.get(fd)!);
    }
  }

  /** Ends all dialogues because this program has to stop. */
  shutDown(now: number): void {
    this.#farewell = new Deadlines(LAST_FAREWELL);
    this.#mostFarewells = Infinity;
    for (const client of this.#clients.values()) {
      if (client.leaving) this.#farewell.start(client.fd, now);
      else this.#end(client, client.speaker.shutdown(), now);
    }
  }

  /** Takes clients again after {@linkcode shutDown}, which has ended all. */
  resume(): void {
    this.#farewell = new Deadlines(FAREWELL * 1000);
    this.#mostFarewells = MAX_FAREWELLS;
  }

  /** Sends a last reply to a client that may not have read the one before. */
  #end(client: Client, reply: string, now: number): void {
    // A client that does not read gets no second reply: it would land in the
    // middle of the first.
    if (client.unsent === "") send(client.fd, reply);
    this.#hangUp(client, now);
  }

  #send(client: Client, replies: string, now: number): void {
    const all = client.unsent === "" ? replies : client.unsent;
    const sent = all === "" ? 0 : send(client.fd, all);
    if (sent === "gone") return this.#close(client);
    client.unsent = all.slice(sent);
    if (client.unsent !== "") this.#watch(client, WRITABLE);
    // No data follows QUIT, so closing does not reset the connection.
    else if (client.speaker.quit && !client.hasMore) this.#close(client);
    else if (client.speaker.done) this.#hangUp(client, now);
    else this.#watch(client, READABLE);
  }

  #watch(client: Client, events: number): void {
    if (client.events === events) return;
    client.events = events;
    this.#epoll.change(client.fd, events);
  }

  /**
   * Lets the last reply arrive. If a socket is closed while unread data is in its
   * buffer, the kernel resets the connection, and the client may lose the reply.
   */
  #hangUp(client: Client, now: number): void {
    const { fd } = client;
    this.#idle.stop(fd);
    this.#session.stop(fd);
    client.leaving = true;
    client.unsent = "";
    client.finished();
    shutdownWriting(fd);
    this.#watch(client, READABLE);
    this.#farewell.start(fd, now);
    if (++this.#farewells <= this.#mostFarewells) return;
    const first = this.#farewell.first();
    if (first !== undefined) this.#close(this.#clients.get(first)!);
  }

  #close(client: Client): void {
    const { fd } = client;
    if (client.leaving) this.#farewells--;
    else {
      client.finished();
      // The client would learn of a close(2) only when the last copy is closed.
      if (this.#hasCopies()) shutdownWriting(fd);
    }
    this.#idle.stop(fd);
    this.#session.stop(fd);
    this.#farewell.stop(fd);
    this.#clients.delete(fd);
    this.#epoll.close(fd);
    client.closed();
  }
}

/**
 * A dialogue of one reply.
 *
 * @param reply with its line end
 */
export function singleReply(reply: string): Speaker {
  const nothing = () => "";
  return {
    done: true,
    quit: false,
    greeting: () => reply,
    receive: nothing,
    timeout: nothing,
    shutdown: nothing,
  };
}
