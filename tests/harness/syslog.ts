/**
 * A syslog daemon that keeps the messages that it gets.
 *
 * @module
 */

import { emptyDir, ROOT, writeFile } from "./root.ts";

/** The messages of greylist to /dev/log, without those of the super-servers. */
export interface Syslog extends AsyncDisposable {
  /** Each datagram as text. */
  readonly messages: readonly string[];
  /** The command in front of greylist that makes this its /dev/log. */
  readonly before: readonly string[];
}

/**
 * Takes the place of the syslog daemon for what is started through `before`;
 * that has a /dev of its own, in a mount namespace. Needs root.
 */
export function openSyslog(): Syslog {
  const { path, socket } = bind();
  const messages: string[] = [];
  const reading = (async () => {
    for await (const [bytes] of socket) {
      const message = new TextDecoder().decode(bytes);
      if (/^\S+ +\S+ \S+ greylist\[/.test(message)) messages.push(message);
    }
  })();
  return {
    messages,
    before: ownDev("with-log", WITH_LOG),
    async [Symbol.asyncDispose]() {
      socket.close();
      await reading;
      Deno.removeSync(path);
    },
  };
}

/** A syslog daemon that does not read, with its queue full. */
export async function openStalledSyslog(): Promise<Syslog> {
  const { path, socket } = bind();
  const sockets = [socket];
  const to = { transport: "unixpacket", path } as const;
  // unix(7): a queue takes one datagram more than this says, and one sender
  // may have no more than some 250 of them waiting.
  const limit = "/proc/sys/net/unix/max_dgram_qlen";
  const length = Number(Deno.readTextFileSync(limit)) + 1;
  for (let i = 0; i < length; i++) {
    if (i % 200 === 0) {
      const own = `${path}.${sockets.length}`;
      sockets.push(
        Deno.listenDatagram({ transport: "unixpacket", path: own }),
      );
    }
    await sockets.at(-1)!.send(new TextEncoder().encode("<0>x"), to);
  }
  return {
    messages: [],
    before: ownDev("with-log", WITH_LOG),
    [Symbol.asyncDispose]() {
      sockets.forEach((socket, i) => {
        socket.close();
        Deno.removeSync(i === 0 ? path : `${path}.${i}`);
      });
      return Promise.resolve();
    },
  };
}

function bind() {
  const path = `${ROOT}/dev-log`;
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  Deno.chmodSync(path, 0o666);
  return { path, socket };
}

const WITH_LOG = 'touch log; mount --bind "$root/dev-log" log';

/** The command in front of greylist that leaves it without /dev/log. */
export function withoutSyslog(): readonly string[] {
  return ownDev("without-log", "");
}

/** Runs the rest of the command with the few devices that a program needs. */
function ownDev(name: string, more: string): string[] {
  emptyDir("dev");
  const script = writeFile(
    name,
    `#!/bin/sh
set -e
root=${ROOT}
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
cd "$root/dev"
mknod -m 666 null c 1 3
mknod -m 666 zero c 1 5
mknod -m 666 urandom c 1 9
ln -s /proc/self/fd fd
${more}
cd /
mount --rbind "$root/dev" /dev
exec "$@"
`,
    0o755,
  );
  return ["/usr/bin/unshare", "--mount", script];
}
