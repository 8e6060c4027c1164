// The envelope that a dialogue keeps for the log.

import { assertEquals } from "@std/assert";
import {
  ask,
  bytes,
  DEFERRAL,
  dialogue,
  envelope,
  lineOf,
  MAIL,
  QUIT,
  RSET,
  text,
  utf8,
} from "../harness/dialogue.ts";

Deno.test("thirteen messages over one connection, RSET between them", () => {
  const d = dialogue();
  ask(d, "EHLO mail.b.example\r\n");
  for (let message = 1; message <= 13; message++) {
    assertEquals(
      ask(
        d,
        `MAIL FROM:<s${message}@b>\r\nRCPT TO:<r${message}@d>\r\nDATA\r\n`,
      ),
      [MAIL, DEFERRAL, DEFERRAL].join("\r\n"),
    );
    assertEquals(ask(d, "RSET\r\n"), RSET);
  }
  assertEquals(envelope(d), {
    helo: "mail.b.example",
    from: "s1@b",
    to: "r1@d",
    recipients: 1,
  });
  assertEquals(ask(d, "QUIT\r\n"), QUIT);
});

const PATHS: [argument: string, path: string | undefined][] = [
  [":<a@b.example>", "a@b.example"],
  [":<>", ""],
  [":< >", " "],
  [": <a@b.example>", "a@b.example"],
  [" : \t<a@b.example>  ", "a@b.example"],
  [":<a@b.example> SIZE=1 SMTPUTF8", "a@b.example"],
  [":<a@b.example>SIZE=1", "a@b.example"],
  [":<a@b.example> ORCPT=rfc822;<x@y>", "a@b.example"],
  [":<@a.example,@b.example:c@d.example>", "@a.example,@b.example:c@d.example"],
  [`:<"a>b"@c.example> SIZE=1`, `"a>b"@c.example`],
  [`:<"a b"@c.example>`, `"a b"@c.example`],
  [`:<"a\\">b"@c.example> SIZE=1`, `"a\\">b"@c.example`],
  [`:<"a\\\\"@c.example> SIZE="`, `"a\\\\"@c.example`],
  [`:<a\\>b@c.example>`, "a\\"],
  [`:"a b"@c.example SIZE=1`, `"a b"@c.example`],
  [":a@b.example", "a@b.example"],
  [": a@b.example SIZE=1", "a@b.example"],
  [":<a@b.example", "a@b.example"],
  [`:<"a@b.example> SIZE=1`, `"a@b.example> SIZE=1`],
  [`:<"a\\`, `"a\\`],
  [`:<${utf8("jürgen@exämple.org")}>`, utf8("jürgen@exämple.org")],
  [`:<${utf8("用户@例子.中国")}> SMTPUTF8`, utf8("用户@例子.中国")],
  [":<\0\x01\r\x1b[2J\xfe\xff@x>", "\0\x01\r\x1b[2J\xfe\xff@x"],
  [":<[192.0.2.1]>", "[192.0.2.1]"],
  [":", undefined],
  [":  ", undefined],
];

Deno.test("paths are kept byte for byte", () => {
  for (const [argument, path] of PATHS) {
    for (const [mail, rcpt] of [["FROM", "TO"], ["from", "to"]]) {
      const d = dialogue();
      ask(d, `MAIL ${mail}${argument}\r\nRCPT ${rcpt}${argument}\r\n`);
      const { from, to } = d.envelope;
      assertEquals(from && text(from), path, argument);
      assertEquals(to && text(to), path, argument);
      assertEquals(d.envelope.recipients, 1);
    }
  }
});

Deno.test("a path without its keyword is taken as it stands", () => {
  for (
    const [line, path] of [
      ["MAIL <a@b>", "a@b"],
      ["MAIL<a@b>", "a@b"],
      ["MAIL a@b SIZE=1", "a@b"],
      ["MAIL TO:<a@b>", "TO:<a@b>"],
      ["MAIL FROM <a@b>", "FROM"],
      ["MAIL", undefined],
      ["MAIL  ", undefined],
    ]
  ) {
    const d = dialogue();
    ask(d, `${line}\r\n`);
    assertEquals(d.envelope.from && text(d.envelope.from), path, line);
  }
});

Deno.test("HELO's argument is kept byte for byte", () => {
  for (
    const [line, helo] of [
      ["EHLO client.example", "client.example"],
      ["HELO  client.example \t", "client.example"],
      ["EHLO\ttwo words", "two words"],
      ["EHLO [IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"],
      ["EHLO \xff\0\x1b", "\xff\0\x1b"],
      ["EHLO", undefined],
      ["HELO  ", undefined],
    ]
  ) {
    const d = dialogue();
    ask(d, `${line}\r\n`);
    assertEquals(d.envelope.helo && text(d.envelope.helo), helo, line);
  }
});

Deno.test("the envelope is the first transaction's with a RCPT", () => {
  const sessions: [
    lines: string[],
    envelope: Record<string, string | number>,
  ][] = [
    [[], { recipients: 0 }],
    // No RCPT: the latest HELO and MAIL.
    [["HELO h", "MAIL FROM:<a>"], { helo: "h", from: "a", recipients: 0 }],
    [["MAIL FROM:<a>", "MAIL FROM:<b>"], { from: "b", recipients: 0 }],
    [["MAIL FROM:<a>", "RSET"], { from: "a", recipients: 0 }],
    [["EHLO h", "HELO i"], { helo: "i", recipients: 0 }],
    [["MAIL FROM:<a>", "MAIL"], { recipients: 0 }],
    // The first RCPT without MAIL has no sender, not one that was reset.
    [["RCPT TO:<c>"], { to: "c", recipients: 1 }],
    [["MAIL FROM:<a>", "RSET", "RCPT TO:<c>"], { to: "c", recipients: 1 }],
    [["MAIL FROM:<a>", "EHLO h", "RCPT TO:<c>"], {
      helo: "h",
      to: "c",
      recipients: 1,
    }],
    // The recipients of that transaction, DATA or not.
    [["MAIL FROM:<a>", "RCPT TO:<c>", "DATA", "RCPT TO:<d>"], {
      from: "a",
      to: "c",
      recipients: 2,
    }],
    [["MAIL FROM:<a>", "RCPT", "RCPT TO:<d>"], { from: "a", recipients: 2 }],
    // What comes after it changes nothing.
    ...["RSET", "MAIL FROM:<b>", "HELO i", "EHLO i"].map((
      next,
    ): [string[], Record<string, string | number>] => [
      [
        "HELO h",
        "MAIL FROM:<a>",
        "RCPT TO:<c>",
        next,
        "MAIL FROM:<x>",
        "RCPT TO:<y>",
        "HELO z",
      ],
      { helo: "h", from: "a", to: "c", recipients: 1 },
    ]),
  ];
  for (const [lines, expected] of sessions) {
    const d = dialogue();
    for (const line of lines) ask(d, `${line}\r\n`);
    assertEquals(envelope(d), expected, lines.join(", "));
  }
});

Deno.test("a RCPT that is too long is not in the envelope", () => {
  const d = dialogue();
  ask(d, "MAIL FROM:<a>\r\n" + lineOf(4097, "RCPT TO:<"));
  assertEquals(envelope(d), { from: "a", recipients: 0 });
});

Deno.test("a MAIL that is too long leaves its kept bytes in the envelope", () => {
  const d = dialogue();
  ask(d, lineOf(9999, "MAIL FROM:<"));
  assertEquals(
    envelope(d),
    { from: "x".repeat(4096 - "MAIL FROM:<".length), recipients: 0 },
  );
});

Deno.test("the envelope does not share the caller's buffer", () => {
  const d = dialogue();
  const buffer = bytes("EHLO h\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
  d.receive(buffer.subarray(0, 12));
  d.receive(buffer.subarray(12));
  buffer.fill(0);
  d.receive(bytes("NOOP and more than there was before"));
  assertEquals(envelope(d), {
    helo: "h",
    from: "a@b",
    to: "c@d",
    recipients: 1,
  });
});
