/**
 * Clients that are silent or slow, hang up, forge log lines, never read or never
 * stop, through each way in.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { bytesIn } from "../../lib/build/bench/proc.ts";
import type { Config } from "../../lib/config.ts";
import { clean, compile, entries } from "./binary.ts";
import { namesIn } from "./entry.ts";
import { deferred } from "./logged.ts";
import { e2e } from "./need.ts";
import { greeter } from "./next_program.ts";
import { hungUp, processesOf, waitFor } from "./process.ts";
import { assertOnlySmtp, ATTEMPT, bytesOf, Client, talk } from "./smtp.ts";
import type { Listener, WayIn } from "./way_in.ts";

/** The fields of the log line about {@linkcode ATTEMPT}. */
const SAID = {
  helo: "client.example",
  from: "a@client.example",
  to: "b@mx.example",
};

const NOTHING_SAID = { helo: undefined, from: undefined, to: undefined };

/** The fields of the log line after the first commands of ATTEMPT. */
function saidAfter(commands: number) {
  const { helo, from, to } = SAID;
  return {
    helo: commands > 0 ? helo : undefined,
    from: commands > 1 ? from : undefined,
    to: commands > 2 ? to : undefined,
  };
}

/** The address of client number `n`, in a network of its own, and that network. */
function home(n: number) {
  return { from: `127.9.${n}.1`, net: `127.9.${n}.0/24` };
}

interface Site extends AsyncDisposable {
  readonly binary: string;
  readonly port: number;
  /** Ends the test: all clients have gone, no error was logged, and it still works. */
  settle(): Promise<void>;
}

async function site(way: WayIn, config: Partial<Config> = {}): Promise<Site> {
  clean();
  const binary = await compile(config);
  const server: Listener = await way.start({
    binary,
    next: greeter(),
    clients: 50,
  });
  return {
    binary,
    port: server.port,
    settle: async () => {
      await hungUp(server.port);
      assertEquals(server.stderr(), "");
      const transcript = await talk(server.port);
      const first = config.deferral?.at === "banner" ? /^421 / : /^220 /;
      assertMatch(transcript[0], first);
      // A wrapper writes its line after the end of the connection. It must not meet
      // the log of the next test.
      await server.idle();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function sleep(seconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, seconds * 1000));
}

/**
 * Waits until `serve` has pruned, which it does two seconds after its start: the thread
 * for that takes 13 MB.
 */
async function pruned({ resident }: WayIn): Promise<void> {
  if (resident === 0) return;
  await waitFor("the bookmark", () => namesIn().includes(".prune"));
}

const TIMED_OUT = /^421 4\.4\.2 mx\.example [ -~]*\r\n$/;

/** Registers the tests for one way in. */
export function hostileSuite(way: WayIn): void {
  const test = (name: string, run: () => Promise<void>) =>
    e2e(`${way.name}: ${name}`, way, run);
  // In the other ways in, the address of a client that resets the connection at
  // once is lost before greylist can ask for it, so there is no log line.
  const keepsAddress = !way.stderrIsClient;

  test("a client that falls silent gets a 421", async () => {
    await using server = await site(way, { deferral: { idleTimeout: "5s" } });
    // After no command, one, two, three; and in the middle of one.
    await Promise.all([0, 1, 2, 3, 0.5, 2.5].map(async (commands, i) => {
      using client = await Client.connectFrom(server.port, home(i));
      const whole = ATTEMPT.slice(0, Math.floor(commands))
        .map((line) => `${line}\r\n`);
      const half = commands % 1 === 0 ? "" : "RCPT TO:<half@mx.exam";
      // At once: a pause of this test's own would count as silence too.
      await client.send(whole.join("") + half);
      for (const _ of ["banner", ...whole]) await client.reply();
      // Urgent data is neither a command nor a reason to wait for one.
      if (commands % 2 !== 0) client.urgent(0x51);
      assertMatch(await client.rest(), TIMED_OUT, `${commands} commands`);
    }));
    for (const { net, helo, from, to } of await deferred(6)) {
      const i = Number(net.split(".")[2]);
      const commands = [0, 1, 2, 3, 0, 2][i];
      assertEquals({ helo, from, to }, saidAfter(commands), net);
    }
    await server.settle();
  });

  for (const how of ["hangs up", "resets", "half-closes"] as const) {
    test(`a client that ${how} at any step leaves nothing`, async () => {
      await using server = await site(way);
      const cases = [0, 1, 2, 3, 4].flatMap((commands) =>
        [true, false].map((reads) => ({ commands, reads }))
      ).filter(({ reads }) => reads || how !== "resets" || keepsAddress);
      await Promise.all(cases.map(async ({ commands, reads }, i) => {
        using client = await Client.connectFrom(server.port, home(i));
        if (reads) await client.reply();
        for (const line of ATTEMPT.slice(0, commands)) {
          await client.send(`${line}\r\n`);
          if (reads) await client.reply();
        }
        if (how === "resets") client.reset();
        if (how !== "half-closes") return;
        await client.half();
        const rest = await client.rest();
        assert(!client.wasReset, `${commands} commands: no clean close`);
        if (reads) assertEquals(rest, "");
        else {
          assertOnlySmtp(rest);
          const codes = rest.split("\r\n").map((line) => line.slice(0, 4))
            .filter((code) => /^\d+ $/.test(code)).join("");
          const all = "220 250 250 451 221 ";
          assertEquals(codes, all.slice(0, 4 * (1 + commands)));
        }
      }));
      const lines = await deferred(cases.length);
      for (const { net, reason, helo, from, to } of lines) {
        const i = Number(net.split(".")[2]);
        const { commands, reads } = cases[i];
        assertEquals(reason, "new");
        // A command without a reply may not have arrived.
        if (reads || how === "half-closes") {
          assertEquals({ helo, from, to }, saidAfter(commands), net);
        }
      }
      assertEquals(
        entries(),
        Object.fromEntries(
          cases.map((_, i) => [home(i).net.replace("/", "_"), 0]).sort(),
        ),
      );
      await server.settle();
    });
  }

  test("a byte a second: the session timeout ends a client that never finishes", async () => {
    const deferral = { idleTimeout: "60s", sessionTimeout: "10s" } as const;
    await using server = await site(way, { deferral });
    const clients: ((client: Client) => Promise<void>)[] = [
      // Writes a byte a second.
      async (client) => {
        await client.reply();
        const end = client.rest();
        let ended = false;
        end.then(() => ended = true, () => ended = true);
        for (let i = 0; i < 60 && !ended; i++) {
          await client.send("E").catch(() => {});
          await sleep(1);
        }
        assertMatch(await end, TIMED_OUT);
      },
      // Never stops talking.
      async (client) => {
        let reply = await client.reply();
        while (reply?.startsWith("2")) {
          await client.send("NOOP\r\n");
          reply = await client.reply();
          await sleep(0.05);
        }
        assertMatch(`${reply}\r\n`, TIMED_OUT);
      },
      // Never stops talking, and reads a byte a second.
      async (client) => {
        let ended = false;
        const sent = flood(client).then(() => ended = true);
        while (!ended && await client.byte() !== undefined) await sleep(1);
        await sent;
      },
    ];
    await together(server, clients);
    for (const { helo, from, to } of await deferred(clients.length)) {
      assertEquals({ helo, from, to }, NOTHING_SAID);
    }
    await server.settle();
  });

  test("a byte a second: a client that finishes is served", async () => {
    await using server = await site(way);
    await together(server, [
      async (writer) => {
        await writer.reply();
        for (const byte of "RCPT TO:<x>\r\n") {
          await writer.send(byte);
          await sleep(1);
        }
        assertMatch(await writer.reply() ?? "", /^451 4\.7\.1 /);
      },
      async (reader) => {
        await reader.send(`${ATTEMPT.join("\r\n")}\r\n`);
        let text = "";
        for (let i = 0; i < 10; i++) {
          text += await reader.byte();
          await sleep(1);
        }
        text += await reader.rest();
        assertOnlySmtp(text);
        assertMatch(
          text,
          /^220 (.*\r\n)+451 4\.7\.1 .*\r\n221 2\.0\.0 .*\r\n$/,
        );
      },
    ]);
    await deferred(2);
    await server.settle();
  });

  test("a client that never reads is disconnected", async () => {
    await using server = await site(way, { deferral: { idleTimeout: "5s" } });
    const bursts = ["NOOP\r\n", "EHLO x\r\n", "x\r\n", "RCPT TO:<x>\n"];
    await together(
      server,
      bursts.map((line) => (client) => flood(client, line)),
    );
    await deferred(bursts.length);
    await server.settle();
  });

  test("ten megabytes in one line are not kept", async () => {
    await using server = await site(way);
    using client = await Client.connectFrom(server.port, home(0));
    await client.reply();
    const [pid, ...more] = processesOf(server.binary);
    assertEquals(more, []);
    const floods: [string, number, RegExp][] = [
      ["RCPT TO:<", 0x78, /^451 4\.7\.1 /],
      ["EHLO ", 0x1b, /^250-mx\.example\n/],
      ["MAIL FROM:<", 0, /^250 2\.1\.0 /],
      ["", 0x20, /^500 5\.5\.2 /],
    ];
    const pour = async (size: number) => {
      for (const [begin, byte, reply] of floods) {
        await client.send(begin);
        await client.send(new Uint8Array(size).fill(byte));
        await client.send("\r\n");
        assertMatch(await client.reply() ?? "hung up", reply);
      }
    };
    await pour(100_000);
    await pruned(way);
    const before = peakMemory(pid);
    await pour(10_000_000);
    const grown = peakMemory(pid) - before;
    // Forty megabytes came in.
    assert(grown < 8e6, `grown by ${grown} bytes`);
    await client.send("RCPT TO:<b@mx.example>\r\nQUIT\r\n");
    assertMatch(await client.reply() ?? "", /^451 4\.7\.1 /);
    assertMatch(await client.rest(), /^221 /);
    const [{ helo, from, to }] = await deferred(1);
    assertEquals(helo, `${"\\x1b".repeat(50)}...`);
    assertEquals(from, `${"\\x00".repeat(50)}...`);
    assertEquals(to, "b@mx.example");
    await server.settle();
  });

  test("a hundred thousand commands in one session", async () => {
    await using server = await site(way);
    using client = await Client.connectFrom(server.port, home(0));
    await client.reply();
    const [pid] = processesOf(server.binary);
    const pour = async (count: number) => {
      const line = "MAIL FROM:<a@client.example>\r\n";
      const sending = client.send(line.repeat(count));
      for (let i = 0; i < count; i++) {
        assertEquals(await client.reply(), "250 2.1.0 Sender ok");
      }
      await sending;
    };
    await pour(5000);
    await pruned(way);
    const before = peakMemory(pid);
    await pour(100_000);
    const grown = peakMemory(pid) - before;
    assert(grown < 8e6, `grown by ${grown} bytes`);
    await client.send("QUIT\r\n");
    assertMatch(await client.rest(), /^221 /);
    await deferred(1);
    await server.settle();
  });

  test("a message in one burst with its commands", async () => {
    await using server = await site(way);
    const body = "Subject: x\r\n\r\nRSET\r\nMAIL FROM:<>\r\n.\r\n";
    const commands = [...ATTEMPT.slice(0, 3), "DATA", body + "QUIT", ""];
    using client = await Client.connectFrom(server.port, home(0));
    await client.send(commands.join("\r\n"));
    const text = await client.rest();
    assertOnlySmtp(text);
    const codes = text.split("\r\n").filter((line) => line[3] === " ")
      .map((line) => line.slice(0, 3));
    assertEquals(
      codes.join(" "),
      "220 250 250 451 451 500 500 250 250 500 221",
    );
    const [{ helo, from, to }] = await deferred(1);
    assertEquals({ helo, from, to }, SAID);
    await server.settle();
  });

  test("data after the end does not cost the last reply", async () => {
    await using server = await site(way);
    const ends: [string, RegExp][] = [
      ["QUIT\r\n", /^220 .*\r\n221 2\.0\.0 .*\r\n$/],
      ["BDAT 9 LAST\r\n", /^220 .*\r\n421 4\.5\.1 .*\r\n$/],
      ["x\r\n".repeat(20), /^220 (.*\r\n)+421 4\.7\.0 .*\r\n$/],
    ];
    await Promise.all(ends.map(async ([end, expected], i) => {
      using client = await Client.connectFrom(server.port, home(i));
      await client.send(end + "x".repeat(100_000));
      await client.half();
      assertMatch(await client.rest(), expected);
      assert(!client.wasReset, "no clean close");
    }));
    await deferred(ends.length);
    await server.settle();
  });

  test("every byte of every field is in the log, escaped or as it is", async () => {
    await using server = await site(way);
    // A line feed ends a command, so no field can have one.
    const all = Array.from({ length: 256 }, (_, byte) => byte)
      .filter((byte) => byte !== 10);
    const slices: number[][] = [];
    for (let at = 0; at < 256; at += 40) slices.push(all.slice(at, at + 40));
    await Promise.all(slices.map(async (slice, i) => {
      const value = field(slice);
      const path = field(slice.filter((byte) => !isSpecialInPath(byte)));
      const transcript = await say(server.port, i, value, path);
      assertEquals(transcript, "220 250 250 451 221");
    }));
    for (const line of await deferred(slices.length)) {
      const slice = slices[Number(line.net.split(".")[2])];
      const path = shown(slice.filter((byte) => !isSpecialInPath(byte)));
      assertEquals(line.helo, shown(slice));
      assertEquals([line.from, line.to], [path, path]);
    }
    await server.settle();
  });

  test("no value adds a line, a field or a terminal escape", async () => {
    await using server = await site(way);
    // The log has each byte by byte, or as it is.
    const values: [value: string, escaped: boolean][] = [
      ["\x1b[2J", true], // clears a terminal
      ["\x1b]0;title\x07", true],
      ["\xc2\x9b2J", true], // the same as one character, U+009B
      ["\xc2\x85", true], // next line
      ["\xe2\x80\xa8", true], // line separator
      ["\xe2\x80\xae", true], // turns the writing direction
      ["\xe2\x80\x8b", true], // zero width
      ["\xef\xbb\xbf", true], // byte order mark
      ["\xc2\xa0", true], // no-break space
      ["\xe3\x80\x80", true], // ideographic space
      ["\xe1\x85\x9f", true], // a letter without a shape
      ["\xf3\xa0\x81\x81", true], // tag
      ["\xc0\x8a", true], // overlong line feed
      ["\xe0\x80\x8a", true],
      ["\xed\xa0\x80", true], // half of a surrogate pair
      ["\xf4\x90\x80\x80", true], // beyond Unicode
      ["\xe2\x80", true], // cut off
      ["\r", true],
      ["\t", true],
      ["\\x41", true],
      ['"', true],
      ["=reason=known", false],
      ["\xc3\xbc", false],
      ["\xe4\xbe\x8b", false],
    ];
    await Promise.all(values.map(async ([value], i) => {
      await say(server.port, i, `x${value}y`, `x${value}y`);
    }));
    const lines = await deferred(values.length);
    for (const { net, reason, helo } of lines) {
      const [value, escaped] = values[Number(net.split(".")[2])];
      assertEquals(reason, "new");
      const inner = escaped ? shown([...bytesOf(value)], false) : text(value);
      assertEquals(helo, `x${inner}y`);
    }
    await server.settle();
  });

  test("forged lines stay in their field", async () => {
    await using server = await site(way);
    const forgeries = [
      "x from=<y@z> to=<b@c> reason=known",
      "x\rpass ip=1.2.3.4 net=1.2.3.0/24 reason=known age=1 accepted=1",
      "x\0 defer ip=1.2.3.4",
      "x> to=<forged@b.example",
      `${"\x1b".repeat(4000)}`,
      `${"\xff ".repeat(2000)}`,
    ];
    await Promise.all(forgeries.map(async (value, i) => {
      await say(server.port, i, value, value);
    }));
    for (const line of await deferred(forgeries.length)) {
      const i = Number(line.net.split(".")[2]);
      assertEquals(line.reason, "new");
      for (const value of [line.helo, line.from, line.to]) {
        const first = shown([...bytesOf(forgeries[i][0])], false);
        assert(value === undefined || value.startsWith(first), value);
      }
    }
    await server.settle();
  });

  test("at the banner: silent, deaf, talking and gone clients", async () => {
    await using server = await site(way, {
      deferral: { at: "banner", idleTimeout: "3s" },
    });
    const only = /^421 4\.7\.1 [ -~]+\r\n$/;
    const clients: ((client: Client) => Promise<void>)[] = [
      async (client) => assertMatch(await client.rest(), only),
      async (client) => {
        await client.send(ATTEMPT.join("\r\n") + "\r\n");
        assertMatch(await client.rest(), only);
      },
      async (client) => {
        await client.half();
        assertMatch(await client.rest(), only);
      },
      (client) => flood(client),
      async (client) => {
        if (!keepsAddress) await client.reply();
        client.reset();
      },
      () => Promise.resolve(),
    ];
    await together(server, clients);
    for (const { helo, from, to } of await deferred(clients.length)) {
      assertEquals({ helo, from, to }, NOTHING_SAID);
    }
    await server.settle();
  });
}

/** Runs clients with small receive buffers, so that unread data soon blocks. */
async function together(
  { port }: { port: number },
  clients: readonly ((client: Client) => Promise<void>)[],
): Promise<void> {
  await Promise.all(clients.map(async (run, i) => {
    const options = { ...home(i), receiveBuffer: 1 };
    using client = await Client.connectFrom(port, options);
    await run(client);
  }));
}

/** Sends until the server hangs up. */
async function flood(client: Client, line = "NOOP\r\n"): Promise<void> {
  const burst = line.repeat(10_000);
  try {
    while (true) await client.send(burst);
  } catch {
    // It has hung up.
  }
}

/** The most memory that a process ever had, in bytes. */
function peakMemory(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return bytesIn(status, "VmHWM");
}

/** Bytes between two letters, so that none of them is at an end. */
function field(bytes: readonly number[]): string {
  return `x${String.fromCharCode(...bytes)}y`;
}

/** A quotation mark and a bracket mean something in a path. */
function isSpecialInPath(byte: number): boolean {
  return byte === 0x22 || byte === 0x3e;
}

/** What the log has to show for bytes that are no UTF-8 together. */
function shown(bytes: readonly number[], between = true): string {
  const text = bytes.map((byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`
  ).join("");
  return between ? `x${text}y` : text;
}

/** The text of bytes that are UTF-8. */
function text(value: string): string {
  return new TextDecoder().decode(bytesOf(value));
}

/**
 * One session of client number `n`.
 *
 * @returns the codes that it got
 */
async function say(
  port: number,
  n: number,
  helo: string,
  path: string,
): Promise<string> {
  using client = await Client.connectFrom(port, home(n));
  await client.send(
    bytesOf(
      `HELO ${helo}\r\nMAIL FROM:<${path}>\r\nRCPT TO:<${path}>\r\nQUIT\r\n`,
    ),
  );
  const received = await client.rest();
  assertOnlySmtp(received);
  return received.trimEnd().split("\r\n").map((line) => line.slice(0, 3))
    .join(" ");
}
