/**
 * What the C library's structures look like from outside: sizes and constants
 * that no header tells a program in TypeScript.
 *
 * @module
 */

/** The sizes and places that `serve` depends on, in bytes. */
export interface Abi {
  /** `struct epoll_event`, which is packed on x86_64 only. */
  readonly epollEventSize: number;
  /** Where `data` lies in it. */
  readonly epollDataOffset: number;
  /** `posix_spawn_file_actions_t` */
  readonly spawnFileActionsSize: number;
  /** `posix_spawnattr_t` */
  readonly spawnAttributesSize: number;
  /** `sigset_t` */
  readonly signalSetSize: number;
  /** The number of rt_sigaction(2). */
  readonly sysSigaction: number;
}

/**
 * By architecture. From Linux's uapi/linux/eventpoll.h (EPOLL_PACKED),
 * uapi/asm/unistd_64.h and uapi/asm-generic/unistd.h, and glibc's posix/spawn.h
 * and bits/types/__sigset_t.h.
 */
const ABIS: Readonly<Record<string, Abi>> = {
  x86_64: {
    epollEventSize: 12,
    epollDataOffset: 4,
    spawnFileActionsSize: 80,
    spawnAttributesSize: 336,
    signalSetSize: 128,
    sysSigaction: 13,
  },
  aarch64: {
    epollEventSize: 16,
    epollDataOffset: 8,
    spawnFileActionsSize: 80,
    spawnAttributesSize: 336,
    signalSetSize: 128,
    sysSigaction: 134,
  },
};

/**
 * The same on both: uapi/asm-generic/socket.h, fcntl.h and signal.h,
 * uapi/linux/in.h, in6.h, eventpoll.h and eventfd.h, bits/resource.h, spawn.h.
 */
export const C = {
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_STREAM: 1,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
  SHUT_WR: 1,
  MSG_DONTWAIT: 0x40,
  MSG_NOSIGNAL: 0x4000,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
  EPOLLIN: 1,
  EPOLLOUT: 4,
  EPOLLERR: 8,
  EPOLLHUP: 0x10,
  EPOLLRDHUP: 0x2000,
  EPOLL_CLOEXEC: 0o2000000,
  EFD_NONBLOCK: 0o4000,
  EFD_CLOEXEC: 0o2000000,
  RLIMIT_NOFILE: 7,
  POSIX_SPAWN_SETSIGDEF: 4,
  POSIX_SPAWN_SETSIGMASK: 8,
  SIGPIPE: 13,
  SIGCHLD: 17,
  SIGXFSZ: 25,
  SIGRTMAX: 64,
  SIG_IGN: 1n,
  WNOHANG: 1,
  /** A number of syscall(2): uapi/asm/unistd_64.h, uapi/asm-generic/unistd.h. */
  SYS_PIDFD_OPEN: 434,
} as const;

/** errno values that `serve` decides by: uapi/asm-generic/errno.h. */
export const E = {
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  ENFILE: 23,
  EMFILE: 24,
  EAFNOSUPPORT: 97,
  ENOBUFS: 105,
} as const;

/**
 * The sizes of a machine's architecture.
 *
 * @param build what `Deno.build` says
 * @returns undefined where they are not known
 */
export function abiOf(build: { os: string; arch: string }): Abi | undefined {
  return build.os === "linux" ? ABIS[build.arch] : undefined;
}
