import { assertEquals } from "@std/assert";
import { reachesClient } from "../../lib/log/client_socket.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";

const MODULE = JSON.stringify(moduleUrl("lib/log/client_socket.ts"));

Deno.test("client socket: which descriptors reach the client", async () => {
  // Descriptors 0, 1 and 2: each letter stands for one socket, pipe or file, "-"
  // for a closed descriptor.
  const cases: [string, boolean][] = [
    // inetd, systemd: one socket.
    ["AAA", true],
    // tcpserver under supervise: a pipe to multilog.
    ["AAp", false],
    // tcpserver with its log in a file, or thrown away.
    ["AAf", false],
    ["AAn", false],
    // Another socket, such as systemd's journal.
    ["AAB", false],
    // One of the first two descriptors is enough.
    ["nAA", true],
    ["AnA", true],
    ["pqq", true],
    ["pqp", true],
    // Nothing of the client's.
    ["pqr", false],
    ["nnn", false],
    ["fff", false],
    // A descriptor that cannot be looked at counts as the client's.
    ["AA-", true],
    ["-Ap", true],
    ["A-p", true],
    ["---", true],
  ];
  const { stdout, stderr } = await evaluate(`
    import { reachesClient } from ${MODULE};
    const { symbols: libc } = Deno.dlopen("libc.so.6", {
      // int socketpair(int domain, int type, int protocol, int sv[2]);
      socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
      // int pipe(int pipefd[2]);
      pipe: { parameters: ["buffer"], result: "i32" },
      // int open(const char *pathname, int flags);
      open: { parameters: ["buffer", "i32"], result: "i32" },
      // int dup2(int oldfd, int newfd);
      dup2: { parameters: ["i32", "i32"], result: "i32" },
      // int close(int fd);
      close: { parameters: ["i32"], result: "i32" },
    });
    const pair = new Int32Array(2);
    const bytes = new Uint8Array(pair.buffer);
    const path = (text) => new TextEncoder().encode(text + "\\0");
    const made = {};
    const make = (letter) => {
      if (letter === "A" || letter === "B") libc.socketpair(1, 1, 0, bytes);
      else if ("pqr".includes(letter)) libc.pipe(bytes);
      else pair[1] = libc.open(path(letter === "n" ? "/dev/null" : Deno.execPath()), 0);
      return pair[1];
    };
    const saved = 100;
    libc.dup2(1, saved);
    const results = ${JSON.stringify(cases)}.map(([letters]) => {
      for (const fd of [0, 1, 2]) {
        const letter = letters[fd];
        if (letter === "-") libc.close(fd);
        else libc.dup2(made[letter] ??= make(letter), fd);
      }
      return [letters, reachesClient(2)];
    });
    libc.dup2(saved, 1);
    console.log(JSON.stringify(results));`);
  assertEquals([JSON.parse(stdout || "null"), stderr], [cases, ""]);
});

Deno.test("client socket: a closed descriptor counts as the client's", () => {
  assertEquals(reachesClient(999_999), true);
});
