/**
 * Constants and sizes that a C header tells a C program. Offsets within one
 * structure stand in the module that reads it. tests/system/constants_test.ts
 * compares both with the machine's own headers.
 *
 * @module
 */

/**
 * What differs between architectures: Linux's uapi/asm-generic/fcntl.h and arm64's
 * asm/fcntl.h, uapi/asm/unistd_64.h and uapi/asm-generic/unistd.h, and
 * uapi/linux/eventpoll.h (EPOLL_PACKED). Sizes and offsets are bytes.
 */
export function constantsOf(arch: string) {
  return arch === "aarch64"
    ? {
      O_DIRECTORY: 0o40000,
      O_NOFOLLOW: 0o100000,
      SYS_MKNODAT: 33,
      SYS_RT_SIGACTION: 134,
      EPOLL_EVENT_SIZE: 16,
      EPOLL_DATA_OFFSET: 8,
    }
    : {
      O_DIRECTORY: 0o200000,
      O_NOFOLLOW: 0o400000,
      SYS_MKNODAT: 259,
      SYS_RT_SIGACTION: 13,
      EPOLL_EVENT_SIZE: 12,
      EPOLL_DATA_OFFSET: 4,
    };
}

/**
 * Whether the constants of a machine are known, on which `serve` depends.
 *
 * @param build an operating system and an architecture, as in `Deno.build`
 */
export function isSupported(
  { os, arch }: { os: string; arch: string },
): boolean {
  return os === "linux" && (arch === "x86_64" || arch === "aarch64");
}

/**
 * Constants that x86_64 and aarch64 share, besides those of
 * {@linkcode constantsOf}. The comment in front of each group names its header.
 */
export const C = {
  ...constantsOf(Deno.build.arch),
  // fcntl.h
  O_RDONLY: 0,
  O_WRONLY: 0o1,
  O_RDWR: 0o2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  F_GETFD: 1,
  F_SETFD: 2,
  F_GETFL: 3,
  F_SETFL: 4,
  FD_CLOEXEC: 1,
  O_NOATIME: 0o1000000,
  O_CLOEXEC: 0o2000000,
  O_PATH: 0o10000000,
  F_DUPFD_CLOEXEC: 1030,
  F_ADD_SEALS: 1033,
  F_SEAL_SHRINK: 2,
  F_SEAL_GROW: 4,
  AT_FDCWD: -100,
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_EMPTY_PATH: 0x1000,
  AT_STATX_FORCE_SYNC: 0x2000,
  AT_STATX_DONT_SYNC: 0x4000,
  // unistd.h
  SEEK_SET: 0,
  F_OK: 0,
  X_OK: 1,
  W_OK: 2,
  R_OK: 4,
  // sys/file.h
  LOCK_EX: 2,
  LOCK_NB: 4,
  // sys/stat.h
  STATX_BASIC_STATS: 0x7ff,
  STATX_BTIME: 0x800,
  UTIME_OMIT: 0x3ffffffe,
  S_IFMT: 0o170000,
  S_IFREG: 0o100000,
  S_IFDIR: 0o040000,
  S_IFLNK: 0o120000,
  S_IFIFO: 0o010000,
  S_IFSOCK: 0o140000,
  // malloc.h
  M_ARENA_MAX: -8,
  // poll.h
  POLLIN: 1,
  POLLOUT: 4,
  // sys/epoll.h
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
  EPOLLIN: 1,
  EPOLLOUT: 4,
  EPOLLHUP: 0x10,
  EPOLLRDHUP: 0x2000,
  EPOLL_CLOEXEC: 0o2000000,
  // sys/eventfd.h
  EFD_NONBLOCK: 0o4000,
  EFD_CLOEXEC: 0o2000000,
  // sys/socket.h
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_ERROR: 4,
  SO_ACCEPTCONN: 30,
  SO_RCVBUF: 8,
  SO_LINGER: 13,
  SHUT_WR: 1,
  SHUT_RDWR: 2,
  MSG_OOB: 1,
  MSG_PEEK: 2,
  MSG_DONTWAIT: 0x40,
  MSG_NOSIGNAL: 0x4000,
  // netinet/in.h
  IPPROTO_TCP: 6,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
  // netinet/tcp.h
  TCP_INFO: 11,
  TCP_NOTSENT_LOWAT: 25,
  // sys/resource.h
  RLIMIT_DATA: 2,
  RLIMIT_NOFILE: 7,
  RLIMIT_AS: 9,
  // spawn.h
  POSIX_SPAWN_FILE_ACTIONS_SIZE: 80,
  POSIX_SPAWNATTR_SIZE: 336,
  POSIX_SPAWN_SETPGROUP: 2,
  POSIX_SPAWN_SETSIGDEF: 4,
  POSIX_SPAWN_SETSIGMASK: 8,
  // sys/ipc.h, sys/sem.h
  IPC_CREAT: 0o1000,
  IPC_NOWAIT: 0o4000,
  IPC_STAT: 2,
  GETVAL: 12,
  SETVAL: 16,
  SEM_UNDO: 0x1000,
  // sys/mman.h
  MFD_CLOEXEC: 1,
  MFD_ALLOW_SEALING: 2,
  PROT_READ: 1,
  PROT_WRITE: 2,
  MAP_PRIVATE: 2,
  MAP_ANONYMOUS: 0x20,
  MAP_NORESERVE: 0x4000,
  // signal.h
  SIGSET_SIZE: 128,
  SIG_BLOCK: 0,
  SIG_UNBLOCK: 1,
  SIG_SETMASK: 2,
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGTERM: 15,
  SIGCHLD: 17,
  SIGXFSZ: 25,
  SIGRTMAX: 64,
  SIG_DFL: 0n,
  SIG_IGN: 1n,
  // time.h
  CLOCK_MONOTONIC: 1,
  // sys/wait.h
  WNOHANG: 1,
  // sys/statvfs.h
  ST_RDONLY: 1,
  // sys/syscall.h
  SYS_PIDFD_OPEN: 434,
} as const;

/** Values of errno, from errno.h. */
export const E = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EEXIST: 17,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EFBIG: 27,
  ENOSPC: 28,
  ENOSYS: 38,
  ELOOP: 40,
  EPROTOTYPE: 91,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ECONNREFUSED: 111,
  EINPROGRESS: 115,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

/** Kinds of file systems as statfs(2) gives them, from linux/magic.h. */
export const FS = {
  /** TMPFS_MAGIC */
  TMPFS: 0x01021994,
  /** RAMFS_MAGIC */
  RAMFS: 0x858458f6,
  /** OVERLAYFS_SUPER_MAGIC */
  OVERLAYFS: 0x794c7630,
  /** FUSE_SUPER_MAGIC */
  FUSE: 0x65735546,
  /** NFS_SUPER_MAGIC */
  NFS: 0x6969,
  /** CEPH_SUPER_MAGIC */
  CEPH: 0x00c36400,
  /** SMB_SUPER_MAGIC */
  SMB: 0x517b,
  /** CIFS_SUPER_MAGIC */
  CIFS: 0xff534d42,
  /** SMB2_SUPER_MAGIC */
  SMB2: 0xfe534d42,
} as const;
