/**
 * Sockets, and waiting for many of them at once, as `serve` needs them: through
 * the C library, since Deno's own listener shuts down what a child still uses,
 * and has a fixed backlog. Every call is short but one: the wait.
 *
 * @module
 */

import { type Address, formatAddress } from "../address.ts";
import { close } from "./descriptor.ts";
import { lazily } from "./lazily.ts";
import { check, ENOENT, errno, isErrno, LIBC } from "./libc.ts";
import { readSocketName, SOCKADDR_SIZE, type SocketName } from "./socket.ts";
import { type Abi, C, E } from "./abi.ts";

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int socket(int domain, int type, int protocol);
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    // int setsockopt(int sockfd, int level, int optname, const void *optval,
    //                socklen_t optlen);
    setsockopt: {
      parameters: ["i32", "i32", "i32", "buffer", "u32"],
      result: "i32",
    },
    // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    // int listen(int sockfd, int backlog);
    listen: { parameters: ["i32", "i32"], result: "i32" },
    // int accept4(int sockfd, struct sockaddr *addr, socklen_t *addrlen,
    //             int flags);
    accept4: {
      parameters: ["i32", "pointer", "pointer", "i32"],
      result: "i32",
    },
    // ssize_t recv(int sockfd, void *buf, size_t len, int flags);
    recv: { parameters: ["i32", "pointer", "usize", "i32"], result: "isize" },
    // ssize_t send(int sockfd, const void *buf, size_t len, int flags);
    send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    // int shutdown(int sockfd, int how);
    shutdown: { parameters: ["i32", "i32"], result: "i32" },
    // int epoll_create1(int flags);
    epoll_create1: { parameters: ["i32"], result: "i32" },
    // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
    epoll_ctl: { parameters: ["i32", "i32", "i32", "pointer"], result: "i32" },
    // int epoll_wait(int epfd, struct epoll_event *events, int maxevents,
    //                int timeout);
    epoll_wait: { parameters: ["i32", "pointer", "i32", "i32"], result: "i32" },
    // The same in another thread.
    wait: {
      name: "epoll_wait",
      parameters: ["i32", "pointer", "i32", "i32"],
      result: "i32",
      nonblocking: true,
    },
    // int eventfd(unsigned int initval, int flags);
    eventfd: { parameters: ["u32", "i32"], result: "i32" },
    // ssize_t write(int fd, const void *buf, size_t count);
    write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    // ssize_t read(int fd, void *buf, size_t count);
    read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  }).symbols
);

/**
 * Opens a socket that takes connections. On `::` it takes those over IPv4 too.
 *
 * @param backlog how many connections may wait to be accepted; the system has a
 * limit of its own (net.core.somaxconn)
 * @throws {LibcError}
 */
export function listenOn(
  { address, port }: SocketName,
  backlog: number,
): number {
  const { socket, setsockopt, bind, listen } = libc();
  const six = address.family === 6;
  const type = C.SOCK_STREAM | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC;
  const family = six ? C.AF_INET6 : C.AF_INET;
  const fd = check("socket", socket(family, type, 0));
  try {
    const option = (level: number, name: number, value: number) => {
      const bytes = new Uint8Array(Int32Array.of(value).buffer);
      check("setsockopt", setsockopt(fd, level, name, bytes, 4));
    };
    option(C.SOL_SOCKET, C.SO_REUSEADDR, 1);
    if (six) option(C.IPPROTO_IPV6, C.IPV6_V6ONLY, 0);
    const name = socketName(address, port);
    check("bind", bind(fd, name, name.length));
    check("listen", listen(fd, backlog));
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** Whether an error says that this machine has no IPv6. */
export function isNoSuchFamily(error: unknown): boolean {
  return isErrno(error, E.EAFNOSUPPORT);
}

/** A struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes). */
function socketName(address: Address, port: number): Uint8Array<ArrayBuffer> {
  const six = address.family === 6;
  const view = new DataView(new ArrayBuffer(six ? 28 : 16));
  view.setUint16(0, six ? C.AF_INET6 : C.AF_INET, true);
  view.setUint16(2, port);
  if (six) {
    view.setBigUint64(8, address.value >> 64n);
    view.setBigUint64(16, address.value & 0xffff_ffff_ffff_ffffn);
  } else {
    view.setUint32(4, Number(address.value));
  }
  return new Uint8Array(view.buffer);
}

/** `192.0.2.1:25`, `[2001:db8::1]:25` */
export function formatSocketName({ address, port }: SocketName): string {
  const text = formatAddress(address);
  return address.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}

// V8 does not move what has 128 bytes or more.
const peerBytes = new Uint8Array(SOCKADDR_SIZE);
const peerView = new DataView(peerBytes.buffer);
const peerLength = new Uint32Array(32);
const received = new Uint8Array(4096);

const pointers = lazily(() => ({
  peer: Deno.UnsafePointer.of(peerBytes),
  peerLength: Deno.UnsafePointer.of(peerLength),
  received: Deno.UnsafePointer.of(received),
}));

/** A connection that was just accepted. */
export interface Accepted {
  readonly fd: number;
  readonly peer: SocketName;
}

/** Why nothing was accepted. */
export type NotAccepted = "none" | "gone" | "exhausted";

/**
 * Accepts a connection. What it is handed to finds a descriptor that waits, as
 * under any super-server.
 *
 * @returns `none` where nobody is waiting, `gone` where the client has left
 * meanwhile, `exhausted` where descriptors or memory have run out
 */
export function accept(listener: number): Accepted | NotAccepted {
  peerLength[0] = SOCKADDR_SIZE;
  const at = pointers();
  const fd = libc().accept4(listener, at.peer, at.peerLength, C.SOCK_CLOEXEC);
  if (fd === -1) {
    switch (errno()) {
      case E.EAGAIN:
        return "none";
      case E.EMFILE:
      case E.ENFILE:
      case E.ENOBUFS:
      case E.ENOMEM:
        return "exhausted";
      default:
        // Network errors of the connection itself, and EINTR (accept(2)).
        return "gone";
    }
  }
  const peer = readSocketName(peerView);
  if (peer !== undefined) return { fd, peer };
  close(fd);
  return "gone";
}

/**
 * Reads what a client has sent, without waiting.
 *
 * @returns the bytes, which the next call overwrites; undefined where there are
 * none now; `gone` where there will be none
 */
export function receive(fd: number): Uint8Array | undefined | "gone" {
  const size = BigInt(received.length);
  const flags = C.MSG_DONTWAIT;
  const length = Number(libc().recv(fd, pointers().received, size, flags));
  if (length > 0) return received.subarray(0, length);
  if (length === 0) return "gone";
  return isToBeTriedAgain() ? undefined : "gone";
}

/**
 * Sends what a client's connection takes now.
 *
 * @returns how many bytes that was, or `gone`
 */
export function send(fd: number, bytes: Uint8Array): number | "gone" {
  const flags = C.MSG_DONTWAIT | C.MSG_NOSIGNAL;
  const size = BigInt(bytes.length);
  const whole = bytes as Uint8Array<ArrayBuffer>;
  const sent = Number(libc().send(fd, whole, size, flags));
  if (sent >= 0) return sent;
  return isToBeTriedAgain() ? 0 : "gone";
}

function isToBeTriedAgain(): boolean {
  const code = errno();
  // Sockets know no ENOENT: that is of a file that V8 looks for once in a
  // process's life. What really ails the connection is said next time.
  return code === E.EAGAIN || code === E.EINTR || code === ENOENT;
}

/** Says that nothing more will be sent. */
export function endSending(fd: number): void {
  libc().shutdown(fd, C.SHUT_WR);
}

/** How many events one wait gives at most. */
const MOST = 256;

/** Waits for many descriptors at once: epoll(7). */
export class Poll {
  readonly #abi: Abi;
  readonly #fd: number;
  readonly #alarm: number;
  readonly #events: DataView;
  readonly #eventsAt: Deno.PointerValue;
  readonly #change = new DataView(new ArrayBuffer(128));
  readonly #changeAt: Deno.PointerValue;

  /** @throws {LibcError} */
  constructor(abi: Abi) {
    this.#abi = abi;
    const events = new Uint8Array(MOST * abi.epollEventSize);
    this.#events = new DataView(events.buffer);
    this.#eventsAt = Deno.UnsafePointer.of(events);
    const change = new Uint8Array(this.#change.buffer);
    this.#changeAt = Deno.UnsafePointer.of(change);
    const { epoll_create1, eventfd } = libc();
    this.#fd = check("epoll_create", epoll_create1(C.EPOLL_CLOEXEC));
    const flags = C.EFD_NONBLOCK | C.EFD_CLOEXEC;
    this.#alarm = check("eventfd", eventfd(0, flags));
    this.add(this.#alarm, C.EPOLLIN);
  }

  /**
   * Begins to watch a descriptor. Closing it ends that.
   *
   * @param events of C.EPOLLIN, C.EPOLLOUT and so on
   * @throws {LibcError}
   */
  add(fd: number, events: number): void {
    this.#control(C.EPOLL_CTL_ADD, fd, events);
  }

  /**
   * Watches a descriptor for something else; 0 is for nothing.
   *
   * @throws {LibcError}
   */
  change(fd: number, events: number): void {
    this.#control(C.EPOLL_CTL_MOD, fd, events);
  }

  /**
   * Ends watching a descriptor that stays open.
   *
   * @throws {LibcError}
   */
  remove(fd: number): void {
    this.#control(C.EPOLL_CTL_DEL, fd, 0);
  }

  #control(operation: number, fd: number, events: number): void {
    this.#change.setUint32(0, events, true);
    this.#change.setInt32(this.#abi.epollDataOffset, fd, true);
    const { epoll_ctl } = libc();
    check("epoll_ctl", epoll_ctl(this.#fd, operation, fd, this.#changeAt));
  }

  /**
   * What is ready now, or in a moment for which everything else stands still;
   * see {@linkcode event}.
   *
   * @param moment milliseconds
   */
  look(moment = 0): number {
    const { epoll_wait } = libc();
    const ready = epoll_wait(this.#fd, this.#eventsAt, MOST, moment);
    if (ready >= 0) return ready;
    // A signal has come: no reason to leave for the wait.
    return this.#count(epoll_wait(this.#fd, this.#eventsAt, MOST, moment));
  }

  /**
   * Waits until something is ready. Only one wait may be under way.
   *
   * @param timeout milliseconds
   * @returns how many events there are
   */
  async wait(timeout: number): Promise<number> {
    const milliseconds = Math.min(Math.ceil(timeout), 0x7fffffff);
    return this.#count(
      await libc().wait(this.#fd, this.#eventsAt, MOST, milliseconds),
    );
  }

  /** -1 is an interrupted wait: that is tried again. */
  #count(ready: number): number {
    return Math.max(0, ready);
  }

  /** Ends the wait that is under way. */
  wake(): void {
    const one = new Uint8Array(BigUint64Array.of(1n).buffer);
    libc().write(this.#alarm, one, 8n);
  }

  /**
   * One of the events of the last look or wait.
   *
   * @returns the descriptor, undefined where that is only the alarm of
   * {@linkcode wake}; and what it is ready for
   */
  event(index: number): { fd: number; events: number } | undefined {
    const start = index * this.#abi.epollEventSize;
    const fd = this.#events.getInt32(start + this.#abi.epollDataOffset, true);
    if (fd === this.#alarm) {
      libc().read(fd, new Uint8Array(8), 8n);
      return undefined;
    }
    return { fd, events: this.#events.getUint32(start, true) };
  }
}
