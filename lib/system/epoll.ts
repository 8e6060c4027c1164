/**
 * Waiting for many descriptors at once, as `serve` does.
 *
 * @module
 */

import { C } from "./constants.ts";
import { close } from "./descriptor.ts";
import { check, fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int epoll_create1(int flags);
  epoll_create1: { parameters: ["i32"], result: "i32" },
  // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int epoll_wait(int epfd, struct epoll_event *events, int maxevents,
  //                int timeout);
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  // epoll_wait in another thread.
  wait: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  // int eventfd(unsigned int initval, int flags);
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // int eventfd_write(int fd, eventfd_t value);
  eventfd_write: { parameters: ["i32", "u64"], result: "i32" },
  // int eventfd_read(int fd, eventfd_t *value);
  eventfd_read: { parameters: ["i32", "buffer"], result: "i32" },
});

/** There is something to read, the end of the stream, or a connection to accept. */
export const READABLE = C.EPOLLIN;

/** A write takes at least one byte. */
export const WRITABLE = C.EPOLLOUT;

/** The peer writes no more. */
export const PEER_CLOSED = C.EPOLLRDHUP;

/** A listening socket accepts no more. Reported also if it was not asked for. */
export const HUNG_UP = C.EPOLLHUP;

/** The most events that one wait gives. */
const MAX_EVENTS = 256;

/** Ends the wait of another thread: see {@linkcode Epoll.wakeup}. */
export function wake(wakeup: number): void {
  libc().eventfd_write(wakeup, 1n);
}

/** Room for structs epoll_event. */
function eventsOf(count: number): DataView<ArrayBuffer> {
  return new DataView(new ArrayBuffer(count * C.EPOLL_EVENT_SIZE));
}

/** A set of descriptors that are waited for: epoll(7). */
export class Epoll {
  readonly #fd: number;
  readonly #wakeup: number;
  readonly #events = eventsOf(MAX_EVENTS);
  readonly #change = eventsOf(1);

  /**
   * Makes an empty set.
   *
   * @throws {LibcError}
   */
  constructor() {
    const { epoll_create1, eventfd } = libc();
    this.#fd = check("epoll_create", epoll_create1(C.EPOLL_CLOEXEC));
    const flags = C.EFD_NONBLOCK | C.EFD_CLOEXEC;
    this.#wakeup = check("eventfd", eventfd(0, flags));
    this.add(this.#wakeup, READABLE);
  }

  /**
   * Adds a descriptor. Only {@linkcode close} may close it.
   *
   * @param events {@linkcode READABLE}, {@linkcode WRITABLE} and so on
   * @throws {LibcError}
   */
  add(fd: number, events: number): void {
    this.#control(C.EPOLL_CTL_ADD, fd, events);
  }

  /**
   * Changes the events that a descriptor is watched for; 0 is none.
   *
   * @throws {LibcError}
   */
  change(fd: number, events: number): void {
    this.#control(C.EPOLL_CTL_MOD, fd, events);
  }

  /**
   * Removes a descriptor that stays open.
   *
   * @throws {LibcError}
   */
  remove(fd: number): void {
    this.#control(C.EPOLL_CTL_DEL, fd, 0);
  }

  /**
   * Removes a descriptor and closes it. To close it is not enough: a child
   * between fork and exec has the same open file, so epoll would go on to report
   * events under a number that may belong to another client by then.
   */
  close(fd: number): void {
    const { epoll_ctl } = libc();
    epoll_ctl(this.#fd, C.EPOLL_CTL_DEL, fd, this.#change);
    close(fd);
  }

  #control(operation: number, fd: number, events: number): void {
    this.#change.setUint32(0, events, true);
    this.#change.setInt32(C.EPOLL_DATA_OFFSET, fd, true);
    const { epoll_ctl } = libc();
    check("epoll_ctl", epoll_ctl(this.#fd, operation, fd, this.#change));
  }

  /**
   * Looks for events in this thread. The event loop stands still meanwhile.
   *
   * @param timeout how long to wait for the first one, in milliseconds
   * @returns the number of events; see {@linkcode event}
   */
  look(timeout = 0): number {
    const { epoll_wait } = libc();
    const ready = epoll_wait(this.#fd, this.#events, MAX_EVENTS, timeout);
    if (ready >= 0) return ready;
    // A signal interrupted the call.
    return this.#count(
      epoll_wait(this.#fd, this.#events, MAX_EVENTS, timeout),
    );
  }

  /**
   * Waits in another thread until there is an event. Only one wait may be under
   * way.
   *
   * @param timeout milliseconds
   * @returns the number of events; see {@linkcode event}
   */
  async wait(timeout: number): Promise<number> {
    const milliseconds = Math.min(Math.ceil(timeout), 0x7fffffff);
    return this.#count(
      await libc().wait(this.#fd, this.#events, MAX_EVENTS, milliseconds),
    );
  }

  /** -1 is an interrupted wait: the caller waits again. */
  #count(ready: number): number {
    return Math.max(0, ready);
  }

  /** The descriptor that other threads {@linkcode wake} the wait with. */
  get wakeup(): number {
    return this.#wakeup;
  }

  /** Ends the wait that is under way. */
  wake(): void {
    wake(this.#wakeup);
  }

  /**
   * Gives one of the events of the last look or wait.
   *
   * @returns the descriptor and what it is ready for; undefined for an event
   * that only {@linkcode wake} has caused
   */
  event(index: number): { fd: number; events: number } | undefined {
    const start = index * C.EPOLL_EVENT_SIZE;
    const fd = this.#events.getInt32(start + C.EPOLL_DATA_OFFSET, true);
    if (fd === this.#wakeup) {
      libc().eventfd_read(fd, new Uint8Array(8));
      return undefined;
    }
    return { fd, events: this.#events.getUint32(start, true) };
  }
}
