/**
 * A service manager that keeps what a service tells it: sd_notify(3).
 *
 * @module
 */

import { programPath } from "./need.ts";
import { startServer, waitFor } from "./process.ts";
import { ROOT, writeFile } from "./root.ts";

/** The programs that it needs. */
export const MANAGER_PROGRAMS = ["perl"] as const;

/** Deno has no sockets of the abstract namespace. */
const LISTENER = `use Socket;
my ($name) = @ARGV;
$name =~ s/^@/\\0/;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($socket, pack_sockaddr_un($name)) or die "bind: $!";
chmod 0666, $name unless $name =~ /^\\0/;
$| = 1;
print "listening\\n";
while (defined recv($socket, my $message, 65536, 0)) {
  $message =~ s/\\n/ | /g;
  print "$message\\n";
}
`;

/** A manager that listens. */
export interface Manager extends AsyncDisposable {
  /** The value of NOTIFY_SOCKET. */
  readonly socket: string;
  /** All messages so far, the lines of one parted by ` | `. */
  messages(): string[];
  /** Waits for a message. */
  told(pattern: RegExp): Promise<string>;
}

let count = 0;

/** @param kind of its socket: see unix(7) */
export async function startManager(
  kind: "path" | "abstract",
): Promise<Manager> {
  const id = `${Deno.pid}-${++count}`;
  const socket = kind === "path"
    ? `${ROOT}/notify-${id}`
    : `@greylist-e2e/notify-${id}`;
  const output = writeFile(`manager-${id}`, "");
  const script = writeFile("manager.pl", LISTENER);
  const server = startServer(
    [
      "sh",
      "-c",
      'exec >>"$0" "$@"',
      output,
      programPath("perl"),
      script,
      socket,
    ],
    output,
  );
  const said = () => Deno.readTextFileSync(output).split("\n").slice(0, -1);
  await waitFor("the manager to listen", () => said()[0] === "listening");
  const messages = () => said().slice(1);
  return {
    socket,
    messages,
    told: (pattern) =>
      waitFor(
        `${pattern} for the manager`,
        () => messages().find((message) => pattern.test(message)),
      ),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
