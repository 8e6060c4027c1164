import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Address, formatAddress } from "../lib/address.ts";
import {
  close,
  EEXIST,
  ENOENT,
  LibcError,
  localOf,
  openForWriting,
  peerOf,
  poll,
  POLLIN,
  POLLOUT,
  sendDatagram,
  shutdownWriting,
  touch,
  truncate,
} from "../lib/libc.ts";
import "./harness/libc.ts";
import { evaluate, moduleUrl } from "./harness/evaluate.ts";
import { run } from "./harness/process.ts";

const EACCES = 13;
const ENOTDIR = 20;
const EISDIR = 21;
const EINVAL = 22;
const ELOOP = 40;
const EBADF = 9;

/** A directory that is gone when the test is over. */
function temporary(): Disposable & { path: string } {
  const path = Deno.makeTempDirSync({ prefix: "greylist-libc-" });
  return {
    path,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

function errno(work: () => unknown): number {
  return assertThrows(work, LibcError).code;
}

/** The descriptors of this process whose link is `target`. */
function descriptors(target: RegExp): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const link = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (target.test(link)) found.push(Number(name));
    } catch {
      // That of the directory, which is closed again.
    }
  }
  return found;
}

Deno.test("libc: opening, size, time, mode", () => {
  using dir = temporary();
  const path = `${dir.path}/é 1`;
  const before = Deno.umask(0o777);
  const fd = openForWriting(path, "new");
  Deno.umask(before);
  assertEquals(Deno.statSync(path).mode! & 0o7777, 0o600);
  truncate(fd, 5);
  assertEquals(Deno.statSync(path).size, 5);
  truncate(fd, 2 ** 40);
  assertEquals(Deno.statSync(path).size, 2 ** 40);
  assertEquals(Deno.statSync(path).blocks, 0);
  truncate(fd, 0);
  assertEquals(Deno.statSync(path).size, 0);

  Deno.utimeSync(path, 1000, 1000);
  touch(fd);
  assert(Math.abs(Date.now() - Deno.statSync(path).mtime!.getTime()) < 60_000);
  Deno.utimeSync(path, 1000, 1000);
  // Setting the size that it has sets the time as well.
  truncate(fd, 0);
  assert(Deno.statSync(path).mtime!.getTime() > 1_000_000);

  // It is no child's.
  const flags = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  const value = parseInt(/flags:\s*(\d+)/.exec(flags)![1], 8);
  assertEquals(value & 0o2000000, 0o2000000);
  close(fd);
  assertEquals(errno(() => truncate(fd, 0)), EBADF);
});

Deno.test("libc: what is not opened", async () => {
  using dir = temporary();
  const { path } = dir;
  Deno.writeTextFileSync(`${path}/file`, "content");
  Deno.symlinkSync(`${path}/file`, `${path}/link`);
  Deno.symlinkSync(`${path}/new`, `${path}/dangling`);
  Deno.mkdirSync(`${path}/dir`);
  await run(["mkfifo", `${path}/fifo`]);
  const cases: [string, "existing" | "new", number][] = [
    ["file", "new", EEXIST],
    ["link", "new", EEXIST],
    ["link", "existing", ELOOP],
    ["dangling", "new", EEXIST],
    ["dangling", "existing", ELOOP],
    ["dir", "new", EEXIST],
    ["dir", "existing", EISDIR],
    ["fifo", "new", EEXIST],
    ["none", "existing", ENOENT],
    ["none/file", "existing", ENOENT],
    ["none/file", "new", ENOENT],
    ["file/file", "existing", ENOTDIR],
    ["file/file", "new", ENOTDIR],
  ];
  for (const [name, how, code] of cases) {
    assertEquals(
      errno(() => openForWriting(`${path}/${name}`, how)),
      code,
      name,
    );
  }
  assertEquals(Deno.readTextFileSync(`${path}/file`), "content");
  assertThrows(() => Deno.lstatSync(`${path}/new`), Deno.errors.NotFound);
  // Nobody is waited for at a FIFO, and it has no size.
  const fifo = openForWriting(`${path}/fifo`, "existing");
  assertEquals(errno(() => truncate(fifo, 1)), EINVAL);
  close(fifo);
  // What is there is neither emptied nor changed.
  close(openForWriting(`${path}/file`, "existing"));
  assertEquals(Deno.readTextFileSync(`${path}/file`), "content");
});

Deno.test("libc: an error says which call, and why", () => {
  const error = assertThrows(
    () => openForWriting("/nonexistent/x", "existing"),
    LibcError,
  );
  assertEquals(error.message, "open: No such file or directory");
  assertEquals([error.name, error.code], ["LibcError", ENOENT]);
});

Deno.test("libc: poll", async () => {
  using dir = temporary();
  const fifo = `${dir.path}/fifo`;
  await run(["mkfifo", fifo]);
  using file = Deno.openSync(fifo, { read: true, write: true });
  const [fd] = descriptors(/\/fifo$/);
  assertEquals(poll(fd, POLLIN, 0), false);
  assertEquals(poll(fd, POLLIN, 1.5), false);
  assertEquals(poll(fd, POLLIN, -5), false);
  assertEquals(poll(fd, POLLOUT, 0), true);
  file.writeSync(Uint8Array.of(1));
  assertEquals(poll(fd, POLLIN, 0), true);
  // Infinitely long is long enough.
  assertEquals(poll(fd, POLLIN, Infinity), true);
  // A descriptor that is none is broken, which is something to find out.
  assertEquals(poll(999_999, POLLIN, 1000), true);
});

/** The text of an address and a port. */
function shown(end: { address: Address; port: number } | undefined) {
  return end && `${formatAddress(end.address)} ${end.port}`;
}

Deno.test("libc: both ends of a TCP connection", async () => {
  const cases: [string, string, string][] = [
    ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
    ["::1", "::1", "::1"],
    // A socket of both families sees IPv4 as mapped addresses.
    ["::", "127.0.0.1", "127.0.0.1"],
  ];
  for (const [listen, connect, expected] of cases) {
    using listener = Deno.listen({ hostname: listen, port: 0 });
    const { port } = listener.addr;
    const [server, client] = await Promise.all([
      listener.accept(),
      Deno.connect({ hostname: connect, port }),
    ]);
    const own = (client.localAddr as Deno.NetAddr).port;
    const ends = descriptors(/^socket:/).map((fd) =>
      [
        shown(localOf(fd)),
        shown(peerOf(fd)),
      ].join(", ")
    );
    const here = `${expected} ${port}`;
    const there = `${expected} ${own}`;
    assert(ends.includes(`${here}, ${there}`), ends.join("; "));
    assert(ends.includes(`${there}, ${here}`), ends.join("; "));
    server.close();
    client.close();
  }
});

Deno.test("libc: what has no other end", () => {
  using dir = temporary();
  // Deno may have connections of its own.
  const before = descriptors(/^socket:/);
  using _listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using _unix = Deno.listen({ transport: "unix", path: `${dir.path}/s` });
  const ours = descriptors(/^socket:/).filter((fd) => !before.includes(fd));
  assertEquals(ours.length, 2);
  for (const fd of ours) assertEquals(peerOf(fd), undefined);
  const [file] = descriptors(/^\/dev\/null$/).concat(0);
  for (const fd of [file, -1, 999_999]) {
    assertEquals([peerOf(fd), localOf(fd)], [undefined, undefined]);
    assertEquals(shutdownWriting(fd), false);
  }
});

const LIBC = JSON.stringify(moduleUrl("lib/libc.ts"));

Deno.test("libc: a datagram arrives as it was sent", async () => {
  using dir = temporary();
  const path = JSON.stringify(`${dir.path}/log`);
  const { stdout, stderr } = await evaluate(`
    import { sendDatagram } from ${LIBC};
    const socket = Deno.listenDatagram({ transport: "unixpacket", path: ${path} });
    const fds = () => [...Deno.readDirSync("/proc/self/fd")].length;
    sendDatagram(${path}, new TextEncoder().encode("0"));
    const before = fds();
    for (const text of ["é\\0\\n", "x".repeat(8000)]) {
      sendDatagram(${path}, new TextEncoder().encode(text));
    }
    console.log(fds() - before);
    for (let i = 0; i < 3; i++) {
      const [bytes] = await socket.receive();
      console.log(bytes.length, JSON.stringify(new TextDecoder().decode(bytes.subarray(0, 4))));
    }
    // Nobody reads: it is dropped, and nothing waits.
    let sent = 0;
    try {
      for (; sent < 100_000; sent++) {
        sendDatagram(${path}, new Uint8Array(4000));
      }
    } catch (error) {
      console.log(error.name, error.code);
    }
    socket.close();`);
  const lines = ["0", '1 "0"', '4 "é\\u0000\\n"', '8000 "xxxx"'];
  const full = "LibcError 11";
  assertEquals([stdout, stderr], [[...lines, full, ""].join("\n"), ""]);
  const bytes = new Uint8Array(1);
  assertEquals(errno(() => sendDatagram(`${dir.path}/none`, bytes)), ENOENT);
  const file = `${dir.path}/file`;
  Deno.writeTextFileSync(file, "");
  // ECONNREFUSED.
  assertEquals(errno(() => sendDatagram(file, bytes)), 111);
});

Deno.test("libc: exec is the same process with other code", async () => {
  const { code, stdout, stderr } = await evaluate(`
    import { exec } from ${LIBC};
    Deno.env.set("GREYLIST_TEST", "é ü");
    Deno.stdout.writeSync(new TextEncoder().encode(Deno.pid + "\\n"));
    exec([
      "sh",
      "-c",
      'echo $$; echo "$GREYLIST_TEST"; printf "[%s]" "$0" "$@"; echo; ' +
      "grep -E '^Sig(Ign|Blk)' /proc/self/status; exit 42",
      "zero", "", "a b", "é\\n", "-x", "*",
    ]);
  `);
  const [before, after, variable, args, more, ...signals] = stdout.split("\n");
  assertEquals([code, stderr], [42, ""]);
  assertEquals(before, after);
  assertEquals(variable, "é ü");
  assertEquals(args + more, "[zero][][a b][é][-x][*]");
  // What any program has that is started here.
  const usual = await run([
    "grep",
    "-E",
    "^Sig(Ign|Blk)",
    "/proc/self/status",
  ]);
  assertEquals(signals.map(signalSet), usual.stdout.split("\n").map(signalSet));
});

/** A line of /proc/self/status without the two signals that are glibc's own. */
function signalSet(line: string): string {
  const [name, bits = "0"] = line.split(/\s+/);
  return `${name} ${BigInt("0x" + bits) & ~(3n << 31n)}`;
}

Deno.test("libc: exec leaves no descriptor of ours open", async () => {
  const { stdout } = await evaluate(`
    import { exec } from ${LIBC};
    import { openForWriting } from ${LIBC};
    openForWriting("/dev/null", "existing");
    exec(["ls", "/proc/self/fd"]);
  `);
  const usual = await run(["ls", "/proc/self/fd"]);
  assertEquals(stdout, usual.stdout);
});

Deno.test("libc: a program that cannot be started", async () => {
  using dir = temporary();
  Deno.writeTextFileSync(`${dir.path}/file`, "#!/bin/sh\n", { mode: 0o644 });
  const cases: [string, number, string][] = [
    ["/nonexistent/program", ENOENT, "exec: No such file or directory"],
    ["greylist-no-such-program", ENOENT, "exec: No such file or directory"],
    ["", ENOENT, "exec: No such file or directory"],
    [`${dir.path}/file`, EACCES, "exec: Permission denied"],
    [dir.path, EACCES, "exec: Permission denied"],
    [`${dir.path}/file/x`, ENOTDIR, "exec: Not a directory"],
  ];
  // In a process of its own, since it changes what is done about signals.
  const { stdout, stderr } = await evaluate(`
    import { exec } from ${LIBC};
    const status = () =>
      /^SigIgn:\\s*(.*)$/m.exec(Deno.readTextFileSync("/proc/self/status"))[1];
    const SIGPIPE = 1n << 12n;
    for (const [program] of ${JSON.stringify(cases)}) {
      const { code, message } = exec([program, "argument"]);
      console.log(JSON.stringify([program, code, message]));
    }
    // We have to live on, and then SIGPIPE is ignored as before.
    console.log((BigInt("0x" + status()) & SIGPIPE) !== 0n);`);
  const lines = cases.map((line) => JSON.stringify(line));
  assertEquals([stdout, stderr], [[...lines, "true", ""].join("\n"), ""]);
});

Deno.test("libc: silence, and what ends it", async () => {
  const { code, stdout, stderr } = await evaluate(`
    import { silence } from ${LIBC};
    console.error("before");
    const restore = silence(2);
    console.error("lost");
    restore();
    console.error("after");
    console.log([...Deno.readDirSync("/proc/self/fd")].length > 0);`);
  assertEquals([code, stdout, stderr], [0, "true\n", "before\nafter\n"]);
});
