/**
 * File systems that really fail: FUSE mounts in place of the base directory, in a
 * mount namespace of their own. They need root and /dev/fuse.
 *
 * @module
 */

import { E } from "../../lib/system/constants.ts";
import { programPath } from "./need.ts";
import { BASE, writeFile } from "./root.ts";

/** Why there can be no such mount here, undefined if there can. */
export function fuseObstacle(): string | undefined {
  try {
    Deno.openSync("/dev/fuse", { read: true, write: true }).close();
    return undefined;
  } catch (error) {
    return `/dev/fuse: ${(error as Error).message}`;
  }
}

const OPTIONS = "rootmode=40000,user_id=0,group_id=0";

/** A file system whose daemon has ended: every call fails with ENOTCONN. */
export function deadFuse(): string[] {
  const script = writeFile(
    "dead_fuse.sh",
    `exec 9<>/dev/fuse
mount -i -t fuse -o fd=9,${OPTIONS} none ${BASE}
exec 9<&-
exec "$@"
`,
  );
  return [programPath("unshare"), "--mount", "/bin/sh", script];
}

/**
 * A file system that answers an error to everything, such as EIO as a broken disk
 * does. Its daemon ends when the last program is gone that sees the mount.
 */
export function brokenFuse(error: number = E.EIO): string[] {
  const mount = writeFile(
    "broken_fuse.sh",
    `mount -i -t fuse -o fd=9,${OPTIONS} none ${BASE}
exec 9<&-
exec "$@"
`,
  );
  // linux/fuse.h: a request is length, opcode and unique id, and more; a reply
  // is length, error and that id. INIT (26) has to succeed; the two kinds of
  // FORGET (2, 42) have no reply. Before the mount read(2) fails with EPERM.
  const daemon = writeFile(
    "broken_fuse.pl",
    `use strict;
use POSIX;
my $starter = $$;
open(my $fuse, "+<", "/dev/fuse") or die;
my $pid = fork;
die unless defined $pid;
if ($pid) {
  dup2(fileno($fuse), 9) or die;
  exec("unshare", "--mount", "/bin/sh", "${mount}", @ARGV);
  die;
}
open(STDIN, "<", "/dev/null");
open(STDOUT, ">", "/dev/null");
open(STDERR, ">", "/dev/null");
while (1) {
  my $length = sysread($fuse, my $request, 1 << 17);
  if (!defined $length) {
    last if $! != EPERM || getppid != $starter;
    select(undef, undef, undef, 0.01);
    next;
  }
  my (undef, $opcode, $unique) = unpack("L L Q", $request);
  next if $opcode == 2 || $opcode == 42;
  my ($error, $body) = (-${error}, "");
  ($error, $body) = (0, pack("L4 S2 L S2 L8", 7, 31, 4096, 0, 0, 0, 4096))
    if $opcode == 26;
  syswrite($fuse, pack("L l Q", 16 + length $body, $error, $unique) . $body);
}
`,
  );
  return [programPath("perl"), daemon];
}

/**
 * A file system whose daemon has stopped: it takes every request and answers none,
 * so that no signal ends a call. The daemon ends with the process group that it is
 * started in, or by itself some minutes later.
 *
 * @param directory what the file system hides
 */
export function stoppedFuse(directory: string): string[] {
  const mount = writeFile(
    "stopped_fuse.sh",
    `mount -i -t fuse -o fd=9,${OPTIONS} none "$1"
exec 9<&-
shift
exec "$@"
`,
  );
  // See brokenFuse for the format.
  const daemon = writeFile(
    "stopped_fuse.pl",
    `use strict;
use POSIX;
open(my $fuse, "+<", "/dev/fuse") or die;
my $pid = fork;
die unless defined $pid;
if ($pid) {
  dup2(fileno($fuse), 9) or die;
  exec("unshare", "--mount", "/bin/sh", "${mount}", @ARGV);
  die;
}
open(STDIN, "<", "/dev/null");
open(STDOUT, ">", "/dev/null");
open(STDERR, ">", "/dev/null");
alarm 300;
while (1) {
  my $length = sysread($fuse, my $request, 1 << 17);
  if (!defined $length) {
    last if $! != EPERM;
    select(undef, undef, undef, 0.01);
    next;
  }
  my (undef, $opcode, $unique) = unpack("L L Q", $request);
  next if $opcode != 26;
  my $body = pack("L4 S2 L S2 L8", 7, 31, 4096, 0, 0, 0, 4096);
  syswrite($fuse, pack("L l Q", 16 + length $body, 0, $unique) . $body);
}
`,
  );
  return [programPath("perl"), daemon, directory];
}
