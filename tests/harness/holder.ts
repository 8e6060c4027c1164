/**
 * A process that holds a listening socket and gives it to a program, as systemd
 * does for a socket unit: sd_listen_fds(3).
 *
 * @module
 */

import { programPath } from "./need.ts";
import { writeFile } from "./root.ts";

/** What descriptor 3 of the program is. */
export type Held = "listening" | "connected" | "udp" | "file" | "closed";

/** The program that {@linkcode holding} needs. */
export const HOLDER_PROGRAMS = ["perl"] as const;

const SCRIPT = String.raw`use strict;
use Socket;
use Fcntl;
use POSIX ();
my ($again, $kind, $port, @command) = @ARGV;
my $at = sockaddr_in($port, inet_aton("127.0.0.1"));
socket(my $held, PF_INET, $kind eq "udp" ? SOCK_DGRAM : SOCK_STREAM, 0) or die;
setsockopt($held, SOL_SOCKET, SO_REUSEADDR, 1) or die;
bind($held, $at) or die "bind: $!";
if ($kind ne "udp") { listen($held, 128) or die; }
my $given = $held;
if ($kind eq "connected") {
  undef $given;
  socket($given, PF_INET, SOCK_STREAM, 0) or die;
  connect($given, $at) or die;
}
if ($kind eq "file") {
  undef $given;
  open($given, "<", "/dev/null") or die;
}
# Out of the way of descriptor 3.
my $kept = fcntl($given, F_DUPFD, 10) or die;
sub become {
  if ($kind eq "closed") { POSIX::close(3); } else { POSIX::dup2($kept, 3); }
  POSIX::close($_) for 4 .. $kept;
  $ENV{LISTEN_PID} = $$;
  $ENV{LISTEN_FDS} = 1 unless exists $ENV{LISTEN_FDS};
  exec @command or POSIX::_exit(127);
}
become() unless $again;
my $child;
my $over = 0;
$SIG{TERM} = sub { $over = 1; kill "TERM", $child; };
$SIG{USR1} = sub { $over = 1; shutdown($held, 2); };
until ($over) {
  $child = fork;
  become() if $child == 0;
  waitpid($child, 0);
}
exit($? >> 8);
`;

/**
 * The command of the holder.
 *
 * @param program gets what is held as descriptor 3, `LISTEN_PID`, and `LISTEN_FDS`
 * unless the environment has it
 * @param again whether the program is started again when it has ended; the holder
 * is its parent then, and else becomes the program. At USR1 the parent shuts the
 * socket down, waits for the program and ends with its exit code.
 */
export function holding(
  program: readonly string[],
  { port, kind = "listening", again = false }: {
    readonly port: number;
    readonly kind?: Held;
    readonly again?: boolean;
  },
): string[] {
  const path = writeFile("holder.pl", SCRIPT);
  const flags = [again ? "1" : "", kind, String(port)];
  return [programPath("perl"), path, ...flags, ...program];
}
