import { assertEquals } from "@std/assert";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { temporary } from "../harness/temporary.ts";

/** A speaker that says what it hears, and is done after "quit". */
const PRELUDE = `
  import { converse, sayOnce } from ${
  JSON.stringify(moduleUrl("lib/smtp/conversation.ts"))
};
  import { poll, POLLOUT } from ${
  JSON.stringify(moduleUrl("lib/system/descriptor.ts"))
};
  const echo = {
    done: false,
    greeting: () => "hello\\n",
    receive(chunk) {
      const text = new TextDecoder().decode(chunk);
      if (text.includes("quit")) this.done = true;
      return "<" + text + ">";
    },
    timeout: () => "timeout\\n",
  };
`;

Deno.test("conversation: greeting, what is said, the end of input", async () => {
  const { code, stdout, stderr } = await evaluate(
    PRELUDE + `
    converse(echo, { idleTimeout: 20, sessionTimeout: 20 });
    console.error("returned");`,
    'printf "a b" | "$@"',
  );
  assertEquals([code, stdout, stderr], [0, "hello\n<a b>", "returned\n"]);
});

Deno.test("conversation: it ends when the speaker is done", async () => {
  using dir = temporary();
  const returned = `${dir.path}/returned`;
  const { stdout, stderr } = await evaluate(
    PRELUDE + `
    converse(echo, { idleTimeout: 20, sessionTimeout: 20 });
    Deno.writeTextFileSync(${JSON.stringify(returned)}, "");
    const rest = new Uint8Array(10);
    console.error("returned", Deno.stdin.readSync(rest));`,
    `{ printf quit; while [ ! -e ${returned} ]; do sleep 0.05; done; ` +
      'printf rest; } | "$@"',
  );
  // Nothing is read any more, and on a pipe there is no hanging up.
  assertEquals([stdout, stderr], ["hello\n<quit>", "returned 4\n"]);
});

Deno.test("conversation: a silent client runs into either limit", async () => {
  // Longer than the test may take.
  const limits = [[0.2, 600], [600, 0.2]];
  await Promise.all(limits.map(async ([idleTimeout, sessionTimeout]) => {
    const { stdout, stderr } = await evaluate(
      PRELUDE + `
      converse(echo, ${JSON.stringify({ idleTimeout, sessionTimeout })});
      console.error("returned");`,
      // The writer of this pipe is the reader, which says nothing.
      'dir=$(mktemp -d); mkfifo "$dir/f"; exec 3<>"$dir/f"; rm -r "$dir"; ' +
        '"$@" <&3',
    );
    assertEquals([stdout, stderr], ["hello\ntimeout\n", "returned\n"]);
  }));
});

Deno.test("conversation: a client that goes on sending", async () => {
  const { stdout, stderr } = await evaluate(
    PRELUDE + `
    echo.receive = () => ".";
    converse(echo, { idleTimeout: 600, sessionTimeout: 3 });
    console.error("returned");`,
    '(while echo x; do sleep 0.05; done) 2>/dev/null | "$@"',
  );
  assertEquals(stdout.replace(/\.+/, "..."), "hello\n...timeout\n");
  assertEquals(stderr, "returned\n");
});

Deno.test("conversation: the time runs out before an answer is sent", async () => {
  const { stdout, stderr } = await evaluate(
    PRELUDE + `
    echo.receive = () => {
      const end = performance.now() + 3200;
      while (performance.now() < end);
      return "late\\n";
    };
    converse(echo, { idleTimeout: 600, sessionTimeout: 3 });
    console.error("returned");`,
    '{ echo x; sleep 6; } | "$@"',
  );
  assertEquals([stdout, stderr], ["hello\nlate\ntimeout\n", "returned\n"]);
});

Deno.test("conversation: a client that never pauses", async () => {
  const { stdout, stderr } = await evaluate(
    PRELUDE + `
    echo.receive = () => "";
    converse(echo, { idleTimeout: 600, sessionTimeout: 1.5 });
    console.error("returned");`,
    'yes | "$@"',
  );
  assertEquals([stdout, stderr], ["hello\ntimeout\n", "returned\n"]);
});

Deno.test("conversation: a client that does not read", async () => {
  const { stderr } = await evaluate(
    PRELUDE + `
    const kilobyte = new Uint8Array(1024);
    while (poll(1, POLLOUT, 0)) Deno.stdout.writeSync(kilobyte);
    converse(echo, { idleTimeout: 0.2, sessionTimeout: 600 });
    sayOnce("x\\n", 0.2);
    console.error("returned");`,
    'dir=$(mktemp -d); mkfifo "$dir/f"; exec 3<>"$dir/f"; rm -r "$dir"; ' +
      '"$@" >&3',
  );
  assertEquals(stderr, "returned\n");
});

Deno.test("conversation: a client that is gone", async () => {
  const { stdout, stderr } = await evaluate(
    PRELUDE + `
    while (true) {
      try {
        Deno.stdout.writeSync(new TextEncoder().encode("x"));
      } catch {
        break;
      }
    }
    converse(echo, { idleTimeout: 20, sessionTimeout: 20 });
    sayOnce("x\\n", 20);
    console.error("returned");`,
    '"$@" | true',
  );
  assertEquals([stdout, stderr], ["", "returned\n"]);
});

Deno.test("conversation: a descriptor that is closed", async () => {
  for (const closed of ["0<&-", "1>&-", "0<&- 1>&-"]) {
    const { stderr } = await evaluate(
      PRELUDE + `
      converse(echo, { idleTimeout: 20, sessionTimeout: 20 });
      sayOnce("x\\n", 20);
      console.error("returned");`,
      `exec "$@" ${closed}`,
    );
    assertEquals(stderr, "returned\n", closed);
  }
});

Deno.test("conversation: one thing is said, whole", async () => {
  const { stdout, stderr } = await evaluate(
    PRELUDE + `
    sayOnce("é".repeat(100_000) + "\\r\\n", 20);
    console.error("returned");`,
  );
  assertEquals([stdout, stderr], ["é".repeat(100_000) + "\r\n", "returned\n"]);
});
