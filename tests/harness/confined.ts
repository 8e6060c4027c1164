/**
 * The restrictions of a unit, set without systemd: namespaces, mounts, a user,
 * capabilities and filters of system calls. Needs root and mounts.
 *
 * @module
 */

import { programPath } from "./need.ts";
import { ROOT, writeFile } from "./root.ts";
import { FILTER_SETTINGS, filterFiles } from "./seccomp.ts";
import { type Settings, valueOf, wordsOf } from "./unit.ts";

/** The programs that this needs. */
export const CONFINE_PROGRAMS = [
  "perl",
  "sh",
  "systemd-analyze",
  "unshare",
] as const;

/** The settings that are set here. */
export const SET: readonly string[] = [
  ...FILTER_SETTINGS,
  "CapabilityBoundingSet",
  "LimitNOFILE",
  "NoNewPrivileges",
  "PrivateDevices",
  "PrivateIPC",
  "PrivateNetwork",
  "PrivateTmp",
  "PrivateUsers",
  "ProcSubset",
  "ProtectControlGroups",
  "ProtectHome",
  "ProtectKernelTunables",
  "ProtectProc",
  "ProtectSystem",
  "ReadWritePaths",
  "UMask",
  "User",
];

/**
 * The mounts, in a mount namespace of its own. The arguments are the directory of
 * the test, the paths that stay writable, `--` and the next program.
 */
const MOUNTS = `set -e
root=$1; shift
mount --make-rprivate /
# PrivateDevices=
mount -t tmpfs -o mode=755 tmpfs /mnt
mknod -m 666 /mnt/null c 1 3
mknod -m 666 /mnt/zero c 1 5
mknod -m 666 /mnt/full c 1 7
mknod -m 666 /mnt/random c 1 8
mknod -m 666 /mnt/urandom c 1 9
ln -s /proc/self/fd /mnt/fd
mount --move /mnt /dev
# PrivateTmp=; the test itself is below /tmp.
mount --rbind "$root" /mnt
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
mkdir -p "$root"
mount --rbind /mnt "$root"
umount -l /mnt
# ProtectHome=
for home in /home /root /run/user; do
  [ ! -d "$home" ] || mount -t tmpfs -o mode=000,ro tmpfs "$home"
done
# ProtectProc=, ProcSubset=
mount -t proc -o hidepid=invisible,subset=pid proc /proc
# ReadWritePaths=, ProtectSystem=, ProtectKernelTunables=, ProtectControlGroups=
keep=" /dev /tmp /var/tmp /proc "
while [ "$1" != -- ]; do
  mount --bind "$1" "$1"
  keep="$keep$1 "
  shift
done
shift
while read -r _ _ _ _ point _; do
  case $keep in *" $point "*) continue;; esac
  mount -o remount,bind,ro "$point" 2>/dev/null || :
done < /proc/self/mountinfo
exec "$@"
`;

/**
 * The rest: in one process, since each step takes a right away that an earlier
 * one needs. The order is that of systemd.
 */
const CONFINE = `use strict;
use POSIX ();
my (%is, @filters);
while ((my $word = shift) ne "--") {
  my ($name, $value) = split /=/, $word, 2;
  if ($name eq "filter") { push @filters, $value } else { $is{$name} = $value }
}
my ($PRCTL, $UNSHARE) = (POSIX::uname())[4] eq "aarch64" ? (167, 97) : (157, 272);
sub must { my ($what, $number, @rest) = @_;
  syscall($number, @rest) == 0 or die "$what: $!\\n" }
sub put { open my $file, ">", $_[0] or die "$_[0]: $!\\n";
  syswrite $file, $_[1] or die "$_[0]: $!\\n" }
umask oct $is{umask};
my %kept = map { $_ => 1 } split /,/, $is{capabilities};
my $last = 0 + do { local (@ARGV, $/) = "/proc/self/status";
  my ($set) = <> =~ /^CapBnd:\\t(\\w+)/m; length sprintf "%b", hex $set };
my @programs = map { local $/; open my $file, "<:raw", $_ or die "$_: $!\\n"; <$file> } @filters;
for my $n (0 .. $last - 1) {
  must "PR_CAPBSET_DROP", $PRCTL, 24, $n, 0, 0, 0 if !$kept{$n};
}
if ($is{uid}) {
  $) = "$is{gid} $is{gid}";
  POSIX::setgid($is{gid});
  POSIX::setuid($is{uid});
}
if ($is{users}) {
  must "PR_SET_DUMPABLE", $PRCTL, 4, 1, 0, 0, 0;
  must "unshare", $UNSHARE, 0x10000000;
  put "/proc/self/setgroups", "deny";
  put "/proc/self/uid_map", "$is{uid} $is{uid} 1";
  put "/proc/self/gid_map", "$is{gid} $is{gid} 1";
  for my $n (0 .. $last - 1) {
    must "PR_CAPBSET_DROP", $PRCTL, 24, $n, 0, 0, 0;
  }
}
must "PR_SET_NO_NEW_PRIVS", $PRCTL, 38, 1, 0, 0, 0 if $is{nnp};
for my $program (@programs) {
  # struct sock_fprog: how many instructions of 8 bytes, and where.
  my $fprog = pack "S x6 P", length($program) / 8, $program;
  must "PR_SET_SECCOMP", $PRCTL, 22, 2, $fprog, 0, 0;
}
exec @ARGV or die "$ARGV[0]: $!\\n";
`;

/** From linux/capability.h. */
const CAPABILITIES: Readonly<Record<string, number>> = {
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_NET_BIND_SERVICE: 10,
};

function idOf(option: string, user: string): string {
  const { stdout } = new Deno.Command("id", { args: [option, user] })
    .outputSync();
  return new TextDecoder().decode(stdout).trim();
}

/**
 * The command in front of a program that sets the restrictions of a unit. The
 * process id stays the same, so that LISTEN_PID does.
 *
 * @throws {Error} if the unit does not have the settings that this takes for
 * granted
 */
export function confined(settings: Settings): string[] {
  const isOn = (name: string) => valueOf(settings, name) === "yes";
  const granted: Record<string, string> = {
    ProtectSystem: "strict",
    ProtectHome: "yes",
    PrivateTmp: "yes",
    PrivateDevices: "yes",
    ProtectProc: "invisible",
    ProcSubset: "pid",
    PrivateIPC: "yes",
    PrivateNetwork: "yes",
    ProtectHostname: "yes",
  };
  for (const [name, value] of Object.entries(granted)) {
    if (valueOf(settings, name) === value) continue;
    throw new Error(`expected ${name}=${value}`);
  }
  const user = valueOf(settings, "User");
  const capabilities = wordsOf(settings, "CapabilityBoundingSet")
    .map((name) => CAPABILITIES[name]);
  const mounts = writeFile("confine/mounts", MOUNTS);
  const confine = writeFile("confine/confine.pl", CONFINE);
  return [
    ...[programPath("unshare"), "--mount", "--ipc", "--net", "--uts"],
    ...["sh", mounts, ROOT, ...wordsOf(settings, "ReadWritePaths"), "--"],
    ...["sh", "-c", 'ulimit -n "$0"; exec "$@"'],
    valueOf(settings, "LimitNOFILE") ?? "1024",
    ...[programPath("perl"), confine],
    `umask=${valueOf(settings, "UMask")}`,
    `capabilities=${capabilities}`,
    ...user === undefined || user === ""
      ? []
      : [`uid=${idOf("-u", user)}`, `gid=${idOf("-g", user)}`],
    ...isOn("PrivateUsers") ? ["users=1"] : [],
    ...isOn("NoNewPrivileges") ? ["nnp=1"] : [],
    ...filterFiles(settings).map((path) => `filter=${path}`),
    "--",
  ];
}
