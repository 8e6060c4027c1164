import { assertEquals, assertMatch } from "@std/assert";
import { C, constantsOf, E, isSupported } from "../../lib/system/constants.ts";
import { SOCKADDR_SIZE } from "../../lib/system/socket.ts";
import {
  ATIME,
  BTIME,
  DEVICE,
  GID,
  INODE,
  MASK,
  MODE,
  MTIME,
  SIZE,
  STATX_WORDS,
  UID,
} from "../../lib/system/statx.ts";
import { SEM_CUID, SEM_MODE, SEM_OTIME } from "../../lib/system/semaphore.ts";
import { type Ability, e2e, programPath } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

const HEADERS = [
  "dirent.h",
  "errno.h",
  "fcntl.h",
  "grp.h",
  "malloc.h",
  "netinet/in.h",
  "netinet/tcp.h",
  "poll.h",
  "pwd.h",
  "signal.h",
  "spawn.h",
  "stddef.h",
  "sys/epoll.h",
  "sys/eventfd.h",
  "sys/file.h",
  "sys/mman.h",
  "sys/sem.h",
  "sys/resource.h",
  "sys/socket.h",
  "sys/stat.h",
  "sys/statvfs.h",
  "sys/syscall.h",
  "sys/un.h",
  "sys/wait.h",
  "time.h",
  "unistd.h",
];

/** Constants that the headers write in another way. */
const SPELLED: Record<string, string> = {
  SYS_MKNODAT: "SYS_mknodat",
  SYS_RT_SIGACTION: "SYS_rt_sigaction",
  SYS_PIDFD_OPEN: "SYS_pidfd_open",
  SIG_DFL: "(long) SIG_DFL",
  SIG_IGN: "(long) SIG_IGN",
  // A function of the C library, for it keeps two signals to itself.
  SIGRTMAX: "_NSIG - 1",
  EPOLL_EVENT_SIZE: "sizeof(struct epoll_event)",
  EPOLL_DATA_OFFSET: "offsetof(struct epoll_event, data)",
  POSIX_SPAWN_FILE_ACTIONS_SIZE: "sizeof(posix_spawn_file_actions_t)",
  POSIX_SPAWNATTR_SIZE: "sizeof(posix_spawnattr_t)",
  SIGSET_SIZE: "sizeof(sigset_t)",
};

/** Sizes and offsets that the modules of lib/system write as numbers. */
const LAYOUT: Record<string, number> = {
  // statx.ts and directory.ts; the constants are words of 32 bits.
  "sizeof(struct statx)": 4 * STATX_WORDS,
  "offsetof(struct statx, stx_mask)": 4 * MASK,
  "offsetof(struct statx, stx_uid)": 4 * UID,
  "offsetof(struct statx, stx_gid)": 4 * GID,
  "offsetof(struct statx, stx_mode)": 4 * MODE,
  "offsetof(struct statx, stx_size)": 4 * SIZE,
  "offsetof(struct statx, stx_ino)": 4 * INODE,
  "offsetof(struct statx, stx_atime)": 4 * ATIME,
  "offsetof(struct statx, stx_btime)": 4 * BTIME,
  "offsetof(struct statx, stx_mtime)": 4 * MTIME,
  "offsetof(struct statx, stx_dev_major)": 4 * DEVICE,
  "offsetof(struct statx, stx_dev_minor)": 4 * (DEVICE + 1),
  "offsetof(struct statx_timestamp, tv_sec)": 0,
  "offsetof(struct statx_timestamp, tv_nsec)": 8,
  "offsetof(struct dirent64, d_off)": 8,
  "offsetof(struct dirent64, d_reclen)": 16,
  "offsetof(struct dirent64, d_name)": 19,
  // socket.ts, datagram.ts
  "sizeof(struct sockaddr_storage)": SOCKADDR_SIZE,
  "sizeof(struct sockaddr_in)": 16,
  "offsetof(struct sockaddr_in, sin_port)": 2,
  "offsetof(struct sockaddr_in, sin_addr)": 4,
  "sizeof(struct sockaddr_in6)": 28,
  "offsetof(struct sockaddr_in6, sin6_port)": 2,
  "offsetof(struct sockaddr_in6, sin6_addr)": 8,
  "sizeof(struct sockaddr_un)": 110,
  "offsetof(struct sockaddr_un, sun_path)": 2,
  // descriptor.ts
  "sizeof(struct pollfd)": 8,
  "offsetof(struct pollfd, events)": 4,
  // resource_limit.ts
  "sizeof(struct rlimit)": 16,
  "offsetof(struct rlimit, rlim_max)": 8,
  // semaphore.ts
  "sizeof(struct sembuf)": 6,
  "offsetof(struct sembuf, sem_op)": 2,
  "offsetof(struct sembuf, sem_flg)": 4,
  "offsetof(struct semid_ds, sem_perm.cuid)": SEM_CUID,
  "offsetof(struct semid_ds, sem_perm.mode)": SEM_MODE,
  "offsetof(struct semid_ds, sem_otime)": SEM_OTIME,
  // signals.ts: 19 words of 64 bits.
  "sizeof(struct sigaction)": 8 * 19,
  "offsetof(struct sigaction, sa_handler)": 0,
  // user.ts
  "offsetof(struct passwd, pw_uid)": 16,
  "offsetof(struct passwd, pw_gid)": 20,
  "offsetof(struct group, gr_gid)": 16,
};

/** A C program that compiles if all the table's values are the headers'. */
function programFor(arch: string): string {
  const values: [string, number | bigint][] = [
    ...Object.entries({ ...C, ...constantsOf(arch), ...E }).map((
      [name, value],
    ): [string, number | bigint] => [SPELLED[name] ?? name, value]),
    ...Object.entries(LAYOUT),
  ];
  return [
    "#define _GNU_SOURCE",
    ...HEADERS.map((header) => `#include <${header}>`),
    ...values.map(([expression, value]) =>
      `_Static_assert((${expression}) == (${value}), "${expression}");`
    ),
    "",
  ].join("\n");
}

/** The errors of a C compiler for a program; empty if it compiles. */
async function complaints(compiler: string, program: string) {
  using dir = temporary();
  const path = `${dir.path}/constants.c`;
  Deno.writeTextFileSync(path, program);
  const { code, stderr } = await run([
    programPath(compiler),
    "-fsyntax-only",
    "-Wall",
    path,
  ]);
  return { code, stderr };
}

/** A compiler that has the C library's headers. */
function withHeaders(program: string): Ability {
  return {
    program,
    what: "the headers of the C library",
    works: (path) =>
      new Deno.Command(path, {
        args: ["-fsyntax-only", "-include", "errno.h", "-x", "c", "/dev/null"],
        stderr: "null",
      }).outputSync().success,
  };
}

const COMPILERS: Record<string, string> = {
  x86_64: Deno.build.arch === "x86_64" ? "gcc" : "x86_64-linux-gnu-gcc",
  aarch64: Deno.build.arch === "aarch64" ? "gcc" : "aarch64-linux-gnu-gcc",
};

for (const [arch, compiler] of Object.entries(COMPILERS)) {
  e2e(`constants: those of the headers for ${arch}`, {
    programs: [withHeaders(compiler)],
  }, async () => {
    const program = programFor(arch);
    assertEquals(await complaints(compiler, program), { code: 0, stderr: "" });
    // The comparison works: the compiler names a value that was changed.
    for (const name of ["O_NOFOLLOW", "sizeof(struct epoll_event)"]) {
      const wrong = program.replace(`((${name}) == (`, `((${name}) == (1 + `);
      const { code, stderr } = await complaints(compiler, wrong);
      assertEquals(code, 1);
      assertMatch(stderr, /static assertion failed: /);
      assertEquals(stderr.includes(name), true, stderr);
    }
  });
}

Deno.test("constants: there are no sizes for other architectures", () => {
  for (
    const build of [
      { os: "linux", arch: "riscv64" },
      { os: "linux", arch: "" },
      { os: "darwin", arch: "aarch64" },
      { os: "windows", arch: "x86_64" },
      { os: "freebsd", arch: "x86_64" },
    ]
  ) {
    assertEquals(isSupported(build), false, JSON.stringify(build));
  }
});
