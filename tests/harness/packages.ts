/**
 * The Debian packages of the programs that tests start. `.ci/run` installs all
 * of them, and a skipped test names those that it lacks.
 *
 * Run as a program, it prints the packages for `.ci/run`, one a line: `install
 * NAME`, or `unpack NAME` if Debian does not let the package be installed beside
 * the others.
 *
 * @module
 */

/** The compiler for the other architecture, and its headers. */
const OTHER_COMPILER: Readonly<Record<string, readonly string[]>> =
  Deno.build.arch === "aarch64"
    ? {
      "gcc-x86-64-linux-gnu": ["x86_64-linux-gnu-gcc"],
      "libc6-dev-amd64-cross": [],
    }
    : {
      "gcc-aarch64-linux-gnu": ["aarch64-linux-gnu-gcc"],
      "libc6-dev-arm64-cross": [],
    };

/** The packages that one `apt-get install` can add together. */
const INSTALLED: Readonly<Record<string, readonly string[]>> = {
  "bsdutils": ["script"],
  "chromium": ["chromium"],
  "bash": ["bash"],
  "coreutils": ["env", "id", "mkfifo", "timeout", "true"],
  "dash": ["sh"],
  "daemontools": [
    "multilog",
    "setuidgid",
    "softlimit",
    "svc",
    "svscan",
    "svstat",
    "tai64nlocal",
  ],
  "e2fsprogs": ["mkfs.ext2", "mkfs.ext4"],
  "exim4-daemon-light": ["exim4"],
  "faketime": ["faketime"],
  "gcc": ["gcc"],
  ...OTHER_COMPILER,
  "glusterfs-client": ["mount.glusterfs"],
  "glusterfs-server": ["gluster", "glusterd"],
  "hostname": ["hostname"],
  "iproute2": ["ip"],
  "libc-bin": ["getent"],
  "libc6-dev": [],
  "mount": ["losetup", "mount", "umount"],
  // /etc/services, for the names of ports.
  "netbase": [],
  "netcat-openbsd": ["nc"],
  "openbsd-inetd": ["inetd"],
  "openssl": ["openssl"],
  "perl-base": ["perl"],
  "procps": ["ps"],
  "runit": ["chpst", "runsvdir", "sv", "svlogd"],
  "s6": [
    "s6-log",
    "s6-setuidgid",
    "s6-svc",
    "s6-svscan",
    "s6-svscanctl",
    "s6-svstat",
  ],
  "strace": ["strace"],
  "swaks": ["swaks"],
  "systemd": ["systemd-analyze", "systemd-socket-activate"],
  "ucspi-tcp-ipv6": ["rblsmtpd", "tcprules", "tcpserver"],
  "unbound": ["unbound"],
  "util-linux": ["flock", "nsenter", "prlimit", "setpriv", "unshare"],
};

/** Packages that conflict with one of those, or with one another. */
const UNPACKED: Readonly<Record<string, readonly string[]>> = {
  "opensmtpd": ["smtpctl"],
  "postfix": ["postfix"],
  "ucspi-tcp": ["tcpserver4"],
  "xinetd": ["xinetd"],
};

/** The package that has a program. */
export interface Origin {
  readonly package: string;
  /** Whether the package is unpacked instead of being installed. */
  readonly unpacked: boolean;
}

/**
 * The package of a program.
 *
 * @throws {Error} if no package here has it
 */
export function packageOf(program: string): Origin {
  for (const unpacked of [false, true]) {
    const table = Object.entries(unpacked ? UNPACKED : INSTALLED);
    const found = table.find(([, programs]) => programs.includes(program));
    if (found !== undefined) return { package: found[0], unpacked };
  }
  throw new Error(`${program}: in no package of tests/harness/packages.ts`);
}

if (import.meta.main) {
  for (const name of Object.keys(INSTALLED)) console.log(`install ${name}`);
  for (const name of Object.keys(UNPACKED)) console.log(`unpack ${name}`);
}
