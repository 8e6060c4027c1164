/**
 * A stand-in for sslserver: it hands PROGRAM descriptors like those of UCSPI-TLS,
 * and then tells what became of them. tcpserver takes the connections.
 *
 * @module
 */

import { programPath } from "./need.ts";
import { descriptorsOf, run, waitFor } from "./process.ts";
import { emptyDir, ROOT, writeFile } from "./root.ts";

/** The numbers of the descriptors. */
const DESCRIPTORS = {
  /** A socket: the program asks for TLS on it. */
  SSLCTLFD: 3,
  /** A pipe: what the client says over TLS. */
  SSLREADFD: 5,
  /** A pipe: what the client is to read over TLS. */
  SSLWRITEFD: 8,
};

/** What the client has said over TLS before anybody reads it. */
const PLAIN = "EHLO client.example\r\n";

// Run with -e, so that no script takes a number. Number 9 is a file that is
// appended to and of which something was read. The other process has the other
// ends: it tells what came through them until the last descriptor is closed. It is
// no child of greylist's, or strace(1) would wait for it.
const OPENS = `use Fcntl; use Socket; use POSIX ();
BEGIN { $^F = 255 }
my ($dir, @next) = @ARGV;
socketpair(my $control, my $asks, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
pipe(my $read, my $says) or die;
pipe(my $hears, my $write) or die;
sysopen(my $file, "$dir/file", O_RDWR | O_CREAT | O_APPEND) or die;
syswrite($file, "x" x 99); sysseek($file, 42, 0);
syswrite($says, $ENV{PLAIN});
my $pid = fork; die unless defined $pid;
if ($pid == 0) {
  exit if fork;
  close($_) for $control, $write, $file;
  POSIX::close($_) for 0, 1, 2;
  local $/;
  my @heard = (scalar <$asks>, scalar <$hears>);
  close($says);
  my $left = <$read>;
  open(my $out, ">", "$dir/end.new") or die;
  print $out "asked=$heard[0] wrote=$heard[1] left=$left"; close($out);
  rename("$dir/end.new", "$dir/end") or die;
  exit;
}
waitpid($pid, 0);
close($_) for $asks, $says, $hears;
delete $ENV{PLAIN};
exec(@next); die;
`;

// Each connection has settings of its own; then the descriptors are described, and
// greylist takes the place of this shell.
const STARTS = `. "$0/settings"
echo $$ >"$0/pid"
/bin/sh "$0/describe.sh" $$ "$0/before"
exec "$@"
`;

// Number, object, position and flags of each descriptor but standard error.
const DESCRIBES = `[ "$2" = "" ] || exec >"$2"
for file in /proc/$1/fd/*; do
  n=\${file##*/}
  [ $n -ne 2 ] || continue
  echo "$n $(readlink $file)" $(head -n 2 /proc/$1/fdinfo/$n)
done
`;

const SAYS = `printf 'UCSPITLS=%s %s,%s,%s\\n' "\${UCSPITLS-none}" \\
  "$SSLCTLFD" "$SSLREADFD" "$SSLWRITEFD"
/bin/sh "$0/describe.sh" $$
echo end
read -r _
`;

/** The variables, as PROGRAM prints them. */
export const VARIABLES = `UCSPITLS= ${Object.values(DESCRIPTORS).join(",")}\n`;

const dir = () => `${ROOT}/sslserver`;

/** The commands before greylist: the stand-in. */
export function sslserver(): string[] {
  emptyDir("sslserver");
  const variables = Object.entries({ ...DESCRIPTORS, PLAIN, UCSPITLS: "" });
  return [
    ...[
      "/usr/bin/env",
      ...variables.map(([name, value]) => `${name}=${value}`),
    ],
    ...[programPath("perl"), "-e", OPENS, dir()],
    ...["/bin/sh", "-c", STARTS, dir()],
  ];
}

/** PROGRAM: it describes its descriptors and waits for the client's last word. */
export function describer(): string[] {
  writeFile("sslserver/describe.sh", DESCRIBES);
  return ["/bin/sh", "-c", SAYS, dir()];
}

/** Says what is different for the next connection, in the language of sh. */
export function settings(commands: string): void {
  for (const name of ["before", "end"]) {
    try {
      Deno.removeSync(`${dir()}/${name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  writeFile("sslserver/settings", `${commands}\n`);
}

/** The descriptors as greylist found them, a line for each. */
export function before(): string {
  return Deno.readTextFileSync(`${dir()}/before`);
}

/** The descriptors of a process now, in the same words. */
export async function now(pid: number): Promise<string> {
  const { stdout } = await run(["/bin/sh", `${dir()}/describe.sh`, `${pid}`]);
  return stdout;
}

/** Whether a process has any of the descriptors that greylist found. */
export function hasAny(pid: number): boolean {
  const objects = before().split("\n").map((line) => line.split(" ")[1]);
  return descriptorsOf(pid).some((object) =>
    object !== "/dev/null" && objects.includes(object)
  );
}

/** The process that was greylist, and is what it became. */
export function pid(): number {
  return Number(Deno.readTextFileSync(`${dir()}/pid`));
}

/** What came through the descriptors, when nobody has them any more. */
export function outcome(): Promise<string> {
  return waitFor("the end of all who have the descriptors", () => {
    try {
      return Deno.readTextFileSync(`${dir()}/end`);
    } catch {
      return undefined;
    }
  });
}

/** {@linkcode outcome} if nobody has used a descriptor. */
export const UNUSED = `asked= wrote= left=${PLAIN}`;
