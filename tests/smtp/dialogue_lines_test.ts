// How the input of a dialogue becomes lines, and how long they may be.

import { assertEquals } from "@std/assert";
import {
  ask,
  bytes,
  COMMANDS,
  DEFERRAL,
  dialogue,
  EHLO,
  envelope,
  EXIM,
  HOST,
  lineOf,
  MAIL,
  NOT_IMPLEMENTED,
  POSTFIX,
  RSET,
  TOO_LONG,
  TOO_MANY,
  UNKNOWN,
} from "../harness/dialogue.ts";

Deno.test("an unfinished line gets no reply", () => {
  const d = dialogue();
  assertEquals(d.receive(new Uint8Array(0)).length, 0);
  assertEquals(ask(d, "NO"), "");
  assertEquals(ask(d, "OP"), "");
  assertEquals(ask(d, "\r"), "");
  assertEquals(ask(d, "\n"), "250 2.0.0 Ok");
});

Deno.test("a CR inside a line is a byte like any other", () => {
  const d = dialogue();
  assertEquals(ask(d, "NOOP\rQUIT\r\n"), "250 2.0.0 Ok");
  assertEquals(ask(d, "EHLO a\rb\r\r\n"), EHLO);
  assertEquals(envelope(d), { helo: "a\rb\r", recipients: 0 });
  assertEquals(ask(d, "\r\n"), UNKNOWN);
});

Deno.test("a line may have 4,096 bytes with its line end", () => {
  const d = dialogue();
  for (
    const [start, fits, reply] of [
      ["RCPT TO:<", DEFERRAL, DEFERRAL],
      [" rcpt ", DEFERRAL, DEFERRAL],
      ["DATA ", DEFERRAL, DEFERRAL],
      ["RCPTX ", UNKNOWN, TOO_LONG],
      ["RSET ", RSET, TOO_LONG],
      ["NOOP ", "250 2.0.0 Ok", TOO_LONG],
      ["nonsense ", UNKNOWN, TOO_LONG],
      ["MAIL FROM:<", MAIL, MAIL],
      ["mail ", MAIL, MAIL],
      [" MAIL ", MAIL, MAIL],
      ["EHLO ", EHLO, EHLO],
      ["HELO ", `250 ${HOST}`, `250 ${HOST}`],
    ]
  ) {
    assertEquals(ask(d, lineOf(4096, start)), fits);
    assertEquals(ask(d, lineOf(4097, start)), reply);
    // The next line is a command again.
    assertEquals(ask(d, "NOOP\r\n"), "250 2.0.0 Ok");
  }
  assertEquals(ask(d, lineOf(4097, "QUIT ")), TOO_LONG);
  assertEquals(d.done, false);
});

Deno.test("the limit counts what was sent before, and a bare LF as one", () => {
  for (
    const [size, reply] of [[4095, "250 2.0.0 Ok"], [4096, TOO_LONG]] as const
  ) {
    const d = dialogue();
    const line = "NOOP ".padEnd(size, "x");
    assertEquals(ask(d, line.slice(0, 4000)), "");
    assertEquals(ask(d, line.slice(4000)), "");
    assertEquals(ask(d, "\n"), reply);
    assertEquals(ask(d, "NOOP\n"), "250 2.0.0 Ok");
  }
});

Deno.test("10 MB without a line end, then the session goes on", () => {
  for (
    const [start, reply] of [
      ["", TOO_LONG],
      ["RCPT TO:<", DEFERRAL],
      ["DATA ", DEFERRAL],
      ["MAIL FROM:<", MAIL],
    ]
  ) {
    const d = dialogue();
    ask(d, start);
    const chunk = new Uint8Array(4096).fill(0x78);
    for (let sent = 0; sent < 10_000_000; sent += chunk.length) {
      assertEquals(d.receive(chunk).length, 0);
    }
    assertEquals(ask(d, "\r\nNOOP\r\n"), `${reply}\r\n250 2.0.0 Ok`);
  }
});

Deno.test("the twentieth bad command ends the session", () => {
  for (
    const [line, reply] of [
      ["nonsense\r\n", UNKNOWN],
      ["\n", UNKNOWN],
      ["TURN\r\n", NOT_IMPLEMENTED],
      [lineOf(4097, "NOOP "), TOO_LONG],
      [lineOf(4097, "RCPT TO:<"), DEFERRAL],
      [lineOf(4097, "DATA "), DEFERRAL],
    ]
  ) {
    const d = dialogue();
    // The first line may not be empty.
    ask(d, "NOOP\r\n");
    for (let count = 1; count <= 19; count++) {
      assertEquals(ask(d, line), reply);
      assertEquals(d.done, false);
      // Good commands between them neither count nor help.
      assertEquals(ask(d, "NOOP\r\n"), "250 2.0.0 Ok");
    }
    assertEquals(ask(d, line), TOO_MANY);
    assertEquals(d.done, true);
    assertEquals(ask(d, line), "");
    assertEquals(d.timeout(), "");
  }
  // The same in one chunk.
  assertEquals(
    ask(dialogue(), "x\r\n".repeat(21) + "NOOP\r\n"),
    `${UNKNOWN}\r\n`.repeat(19) + TOO_MANY,
  );
});

Deno.test("where the input is split does not matter", () => {
  const sessions = [
    `EHLO mail.b.example\r\n${POSTFIX}RSET\r\n${EXIM}QUIT\r\nNOOP\r\n`,
    'ehlo x\n\nMAIL FROM: <"a>b\\""@c> SIZE=1\n\r\r\nRCPT TO:<\xff>\nBDAT 3\nx',
    COMMANDS.map(([line]) => line)
      .filter((line) => !/^(quit|bdat)/i.test(line)).join("\r\n") + "\r\nHEL",
    "x\r\n".repeat(25),
  ];
  for (const session of sessions) {
    const whole = dialogue();
    const replies = ask(whole, session);
    for (let at = 0; at <= session.length; at++) {
      const d = dialogue();
      const first = d.receive(bytes(session.slice(0, at)));
      const second = d.receive(bytes(session.slice(at)));
      assertEquals((first + second).slice(0, -2), replies, `split at ${at}`);
      assertEquals(envelope(d), envelope(whole));
      assertEquals(d.done, whole.done);
    }
    const again = dialogue();
    let bytewise = "";
    for (const c of session) bytewise += again.receive(bytes(c));
    assertEquals(bytewise.slice(0, -2), replies, "split everywhere");
    assertEquals(envelope(again), envelope(whole));
  }
});

Deno.test("where a long line is split does not matter", () => {
  for (const size of [4095, 4096, 4097, 4098, 9000]) {
    for (const start of ["MAIL FROM:<", "RCPT TO:<"]) {
      const session = lineOf(size, start) + "RSET\r\n";
      const whole = dialogue();
      const replies = ask(whole, session);
      for (const step of [1, 2, 127, 128, 129, 4095, 4096, 4097]) {
        const d = dialogue();
        let output = "";
        for (let at = 0; at < session.length; at += step) {
          output += d.receive(bytes(session.slice(at, at + step)));
        }
        assertEquals(output.slice(0, -2), replies, `${size} by ${step}`);
        assertEquals(envelope(d), envelope(whole));
      }
    }
  }
});
