/**
 * The few calls of the C library that Deno has no function for.
 *
 * @module
 */

import type { Address } from "./address.ts";

/** The C library as dlopen(3) finds it. */
export const LIBC = "libc.so.6";

// Linux, the same on x86_64 and aarch64 except where it says otherwise.
const O_WRONLY = 0o1;
const O_RDWR = 0o2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const O_NOFOLLOW = Deno.build.arch === "aarch64" ? 0o100000 : 0o400000;
const O_CLOEXEC = 0o2000000;
const SIGPIPE = 13;
const SIGXFSZ = 25;
const SIG_DFL = 0n;
const SIG_IGN = 1n;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_DUPFD_CLOEXEC = 1030;
const SHUT_WR = 1;

/** What a client may wait for in {@linkcode poll}. */
export const POLLIN = 1;
/** See {@linkcode POLLIN}. */
export const POLLOUT = 4;

/** A call that failed; `code` is its errno. */
export class LibcError extends Error {
  override name = "LibcError";

  constructor(call: string, readonly code: number) {
    super(`${call}: ${describe(code)}`);
  }
}

const EINTR = 4;
const EACCES = 13;

/** The errno values that somebody decides by. */
export const ENOENT = 2;
/** See {@linkcode ENOENT}. */
export const EEXIST = 17;
/** See {@linkcode ENOENT}. */
export const EFBIG = 27;

/** Makes a value when it is first asked for. */
export function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => made ??= make();
}

/** A string as C has it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(new TextEncoder().encode(text + "\0"));
}

/** Where a buffer lies. V8 moves one of less than 128 bytes. */
export function addressOf(buffer: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer));
}

/**
 * Where dlsym(3) is: here up to glibc 2.33, since then in the C library, which
 * this one leads to. The runtime itself is linked with it.
 */
const LIBDL = "libdl.so.2";

const dlsym = lazily(() =>
  Deno.dlopen(LIBDL, {
    // void *dlsym(void *handle, const char *symbol);
    dlsym: { parameters: ["pointer", "buffer"], result: "pointer" },
  }).symbols.dlsym
);

function find<const F extends Deno.ForeignFunction>(name: string, type: F) {
  const pointer = dlsym()(null, cString(name));
  if (pointer === null) throw new Error(`${LIBC}: no ${name}`);
  return new Deno.UnsafeFnPointer<F>(pointer as never, type);
}

/** Where errno is. Looking for it must not change it. */
const errnoPlace = lazily(() => {
  // int *__errno_location(void);
  const type = { parameters: [], result: "pointer" } as const;
  return new Deno.UnsafePointerView(find("__errno_location", type).call()!);
});

/** Functions with the types that Deno passes. */
type Callables<T extends Record<string, Deno.ForeignFunction>> = {
  readonly [N in keyof T]: Deno.UnsafeFnPointer<T[N]>["call"];
};

/**
 * Functions of the C library, each looked up when it is first called. A symbol
 * of Deno.dlopen costs a start some 0.2 ms, one that is found this way a tenth
 * of that; but each call of it takes longer.
 */
function fromLibc<const T extends Record<string, Deno.ForeignFunction>>(
  types: T,
): Callables<T> {
  const functions: Record<string, (...args: never[]) => unknown> = {};
  for (const [name, type] of Object.entries(types)) {
    const look = lazily(() => {
      errnoPlace();
      return find(name, type);
    });
    functions[name] = (...args) => look().call(...args);
  }
  return functions as Callables<T>;
}

const libc = fromLibc({
  // int open(const char *pathname, int flags, mode_t mode);
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // int ftruncate(int fd, off_t length);
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  // sighandler_t signal(int signum, sighandler_t handler);
  signal: { parameters: ["i32", "u64"], result: "u64" },
  // int execvp(const char *file, char *const argv[]);
  execvp: { parameters: ["buffer", "buffer"], result: "i32" },
  // int fchmod(int fd, mode_t mode);
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  // int futimens(int fd, const struct timespec times[2]);
  futimens: { parameters: ["i32", "pointer"], result: "i32" },
  // unsigned int alarm(unsigned int seconds);
  alarm: { parameters: ["u32"], result: "u32" },
  // int dup2(int oldfd, int newfd);
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  // int fcntl(int fd, int cmd, int arg);
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int getpeername(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int shutdown(int sockfd, int how);
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags,
  //                const struct sockaddr *dest_addr, socklen_t addrlen);
  sendto: {
    parameters: ["i32", "buffer", "u64", "i32", "buffer", "u32"],
    result: "i64",
  },
  // char *strerror(int errnum);
  strerror: { parameters: ["i32"], result: "pointer" },
});

function describe(code: number): string {
  const text = libc.strerror(code);
  return text === null
    ? `error ${code}`
    : Deno.UnsafePointerView.getCString(text);
}

/** Whether something failed with this errno. */
export function isErrno(error: unknown, code: number): boolean {
  return error instanceof LibcError && error.code === code;
}

/** Why the last call failed; only right after one that did. */
export function errno(): number {
  return errnoPlace().getInt32();
}

/**
 * The result of a call, which is -1 where it fails.
 *
 * @throws {LibcError}
 */
export function check<T extends number | bigint>(call: string, result: T): T {
  if (result == -1) throw new LibcError(call, errno());
  return result;
}

/**
 * Opens a file for reading and writing, never through a symbolic link and never
 * waiting for the other end of a FIFO.
 *
 * @param how `new`: it must not exist yet, and is made with mode 0600 whatever
 * the umask
 * @returns the descriptor, closed on exec
 * @throws {LibcError}
 */
export function openForWriting(path: string, how: "existing" | "new"): number {
  const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
    (how === "new" ? O_CREAT | O_EXCL : 0);
  let fd = libc.open(cString(path), flags, 0o600);
  // Once in a process's life V8 looks in vain for a file of its own, and if that
  // comes between a call and its errno, EEXIST is lost.
  if (fd === -1 && how === "new" && errno() === ENOENT) {
    fd = libc.open(cString(path), flags, 0o600);
  }
  check("open", fd);
  if (how === "new") check("fchmod", libc.fchmod(fd, 0o600));
  return fd;
}

/**
 * Opens a file as {@linkcode openForWriting} does, and makes it where it is
 * missing. A file that only somebody else may write, such as one that root made
 * by trying the program by hand, makes way.
 *
 * @throws {LibcError | Error}
 */
export function openOrMake(path: string): number {
  try {
    return openForWriting(path, "existing");
  } catch (error) {
    if (isErrno(error, EACCES)) Deno.removeSync(path);
    else if (!isErrno(error, ENOENT)) throw error;
  }
  try {
    return openForWriting(path, "new");
  } catch (error) {
    // Somebody else has made it in between.
    if (!isErrno(error, EEXIST)) throw error;
    return openForWriting(path, "existing");
  }
}

/**
 * Sets a file's size, which also sets its mtime where the size changes.
 *
 * @throws {LibcError}
 */
export function truncate(fd: number, size: number): void {
  check("ftruncate", libc.ftruncate(fd, BigInt(size)));
}

/**
 * Sets a file's mtime to now.
 *
 * @throws {LibcError}
 */
export function touch(fd: number): void {
  check("futimens", libc.futimens(fd, null));
}

/** Closes a descriptor. */
export function close(fd: number): void {
  libc.close(fd);
}

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
 * Waits until a descriptor can be read or written, or is broken.
 *
 * @param events {@linkcode POLLIN} or {@linkcode POLLOUT}
 * @param timeout milliseconds
 * @returns false where the time ran out first
 * @throws {LibcError}
 */
export function poll(fd: number, events: number, timeout: number): boolean {
  const pollfd = new DataView(new ArrayBuffer(8));
  pollfd.setInt32(0, fd, true);
  pollfd.setInt16(4, events, true);
  const wait = Math.max(0, Math.min(Math.ceil(timeout), 0x7fffffff));
  const buffer = new Uint8Array(pollfd.buffer);
  while (true) {
    const ready = libc.poll(buffer, 1n, wait);
    // A process that was stopped and goes on finds its wait interrupted.
    if (ready !== -1 || errno() !== EINTR) return check("poll", ready) > 0;
  }
}

/**
 * Becomes another program: execve(2) with the environment as it is, the program
 * found on PATH as execvp(3) does. Signals are what they were, and SIGPIPE,
 * which the Rust runtime ignores, is default again.
 *
 * @returns only where it failed
 */
export function exec(argv: string[]): LibcError {
  const strings = argv.map(cString);
  const pointers = new BigUint64Array(strings.length + 1);
  strings.forEach((string, i) => pointers[i] = addressOf(string));
  libc.signal(SIGPIPE, SIG_DFL);
  if (fileSizeSignal !== undefined) libc.signal(SIGXFSZ, fileSizeSignal);
  libc.execvp(strings[0], new Uint8Array(pointers.buffer));
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

/** One end of a TCP connection. */
export interface SocketName {
  readonly address: Address;
  readonly port: number;
}

/** The address and port of a socket's other end, undefined where it has none. */
export function peerOf(fd: number): SocketName | undefined {
  return nameOf(libc.getpeername, fd);
}

/** The address and port of a socket's own end, undefined where it has none. */
export function localOf(fd: number): SocketName | undefined {
  return nameOf(libc.getsockname, fd);
}

type NameCall = (
  fd: number,
  address: Uint8Array<ArrayBuffer>,
  length: Uint8Array<ArrayBuffer>,
) => number;

/** The size of struct sockaddr_storage. */
export const SOCKADDR_SIZE = 128;

function nameOf(call: NameCall, fd: number): SocketName | undefined {
  const bytes = new Uint8Array(SOCKADDR_SIZE);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length, true);
  if (call(fd, bytes, length) === -1) return undefined;
  return readSocketName(new DataView(bytes.buffer));
}

/** Reads a struct sockaddr_in or sockaddr_in6; undefined where it is neither. */
export function readSocketName(view: DataView): SocketName | undefined {
  // The port and the address are in network order behind a family in host order.
  const family = view.getUint16(0, true);
  const port = view.getUint16(2);
  if (family === AF_INET) {
    const value = BigInt(view.getUint32(4));
    return { address: { family: 4, value }, port };
  }
  if (family !== AF_INET6) return undefined;
  const high = view.getBigUint64(8);
  const low = view.getBigUint64(16);
  // ::ffff:0:0/96 is IPv4.
  const mapped = high === 0n && low >> 32n === 0xffffn;
  const address: Address = mapped
    ? { family: 4, value: low & 0xffffffffn }
    : { family: 6, value: high << 64n | low };
  return { address, port };
}

/**
 * Says that nothing more will be written to a socket.
 *
 * @returns false where the descriptor is no connected socket
 */
export function shutdownWriting(fd: number): boolean {
  return libc.shutdown(fd, SHUT_WR) === 0;
}

/**
 * Sends one datagram to a Unix socket, without ever waiting.
 *
 * @throws {LibcError}
 */
export function sendDatagram(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  // struct sockaddr_un: the family, then up to 108 bytes of path.
  const name = cString(path);
  const address = new Uint8Array(110);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  const { socket, sendto } = libc;
  const fd = check("socket", socket(AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0));
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  const length = BigInt(bytes.length);
  const sent = sendto(fd, bytes, length, flags, address, 2 + name.length);
  const failed = sent === -1n ? errno() : 0;
  close(fd);
  if (failed !== 0) throw new LibcError(`send to ${path}`, failed);
}

/**
 * Puts /dev/null in a descriptor's place.
 *
 * @returns what puts the old one back
 * @throws {LibcError}
 */
export function silence(fd: number): () => void {
  const { fcntl, dup2 } = libc;
  const saved = check("fcntl", fcntl(fd, F_DUPFD_CLOEXEC, 3));
  const flags = O_WRONLY | O_CLOEXEC;
  const nothing = check("open", libc.open(cString("/dev/null"), flags, 0));
  check("dup2", dup2(nothing, fd));
  close(nothing);
  return () => {
    check("dup2", dup2(saved, fd));
    close(saved);
  };
}
