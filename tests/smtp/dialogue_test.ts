import { assert, assertEquals } from "@std/assert";
import { Dialogue } from "../../lib/smtp/dialogue.ts";
import { cutText } from "../../lib/smtp/reply_text.ts";

const HOST = "mx.example.org";
const DEFERRAL = "451 4.7.1 Greylisted, please try again in 60 seconds";
const EHLO = [
  `250-${HOST}`,
  "250-PIPELINING",
  "250-SIZE",
  "250-ENHANCEDSTATUSCODES",
  "250-8BITMIME",
  "250 SMTPUTF8",
].join("\r\n");
const MAIL = "250 2.1.0 Sender ok";
const RSET = "250 2.0.0 Reset";
const QUIT = `221 2.0.0 ${HOST} closing connection`;
const UNKNOWN = "500 5.5.2 Command not recognized";
const TOO_LONG = "500 5.5.2 Line too long";
const NOT_IMPLEMENTED = "502 5.5.1 Command not implemented";
const PROXY = `421 4.3.0 ${HOST} no PROXY header expected, closing connection`;
const TOO_MANY = `421 4.7.0 ${HOST} too many bad commands, closing connection`;

function dialogue(): Dialogue {
  return new Dialogue({ hostname: HOST, deferral: DEFERRAL });
}

/** The bytes of a text in which each character stands for one byte. */
function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

function text(data: string | Uint8Array): string {
  if (typeof data === "string") return data;
  return Array.from(data, (b) => String.fromCharCode(b)).join("");
}

/** The UTF-8 bytes of a text, each as one character. */
function utf8(value: string): string {
  return text(new TextEncoder().encode(value));
}

/** The replies to some input, without the last line end. */
function ask(d: Dialogue, input: string): string {
  const output = d.receive(bytes(input));
  assert(output === "" || output.endsWith("\r\n"), "an unfinished reply");
  return output.slice(0, -2);
}

/** The envelope as text; undefined fields are left out. */
function envelope(d: Dialogue): Record<string, string | number> {
  const result: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(d.envelope)) {
    if (typeof value === "number") result[name] = value;
    else if (value !== undefined) result[name] = text(value);
  }
  return result;
}

// Each line is the first of its session, so this also shows that order does not
// matter.
const COMMANDS: [line: string, reply: string][] = [
  ["EHLO client.example", EHLO],
  ["ehlo client.example", EHLO],
  ["EhLo [192.0.2.1]", EHLO],
  ["EHLO", EHLO],
  ["EHLO ", EHLO],
  ["EHLO\tclient.example", EHLO],
  ["EHLO \0\xff\x1b[31m", EHLO],
  ["EHLO two words", EHLO],
  [" EHLO client.example", EHLO],
  ["\t EHLO client.example", EHLO],
  ["HELO client.example", `250 ${HOST}`],
  ["helo", `250 ${HOST}`],
  ["MAIL FROM:<a@b.example>", MAIL],
  ["MAIL FROM:<>", MAIL],
  ["mail from:<a@b.example>", MAIL],
  ["MAIL FROM: <a@b.example>", MAIL],
  ["MAIL  FROM : <a@b.example> ", MAIL],
  ["MAIL FROM:<a@b.example> SIZE=99999999999 BODY=8BITMIME SMTPUTF8", MAIL],
  ["MAIL FROM:<a@b.example> AUTH=<> RET=HDRS ENVID=x NONSENSE", MAIL],
  ["MAIL FROM:<a@b.example", MAIL],
  ["MAIL FROM:a@b.example", MAIL],
  ["MAIL FROM:", MAIL],
  ["MAIL FROM", MAIL],
  ["MAIL TO:<a@b.example>", MAIL],
  ["MAIL", MAIL],
  ["MAIL:", MAIL],
  ["MAIL<a@b.example>", MAIL],
  ["MAIL \0\x01\xfe\xff", MAIL],
  [`MAIL FROM:<"`, MAIL],
  [`MAIL FROM:<"\\`, MAIL],
  ["RCPT TO:<c@d.example>", DEFERRAL],
  ["rcpt to:<c@d.example>", DEFERRAL],
  ["RCPT TO:<c@d.example> NOTIFY=NEVER ORCPT=rfc822;c@d.example", DEFERRAL],
  ["RCPT TO:<Postmaster>", DEFERRAL],
  ["RCPT TO:<>", DEFERRAL],
  ["RCPT TO:", DEFERRAL],
  ["RCPT", DEFERRAL],
  ["RCPT \0\xff", DEFERRAL],
  ["DATA", DEFERRAL],
  ["data", DEFERRAL],
  ["DATA now", DEFERRAL],
  ["RSET", RSET],
  ["RSET x", RSET],
  ["NOOP", "250 2.0.0 Ok"],
  ["NOOP anything", "250 2.0.0 Ok"],
  ["VRFY postmaster", "252 2.0.0 Cannot say, try RCPT"],
  ["VRFY", "252 2.0.0 Cannot say, try RCPT"],
  ["EXPN list", "252 2.0.0 Cannot say, try RCPT"],
  ["HELP", "214 2.0.0 See RFC 5321"],
  ["HELP MAIL", "214 2.0.0 See RFC 5321"],
  ["AUTH PLAIN AGEAYg==", "454 4.7.0 Authentication not available now"],
  ["AUTH", "454 4.7.0 Authentication not available now"],
  ["STARTTLS", "454 4.7.0 TLS not available now"],
  ["starttls ", "454 4.7.0 TLS not available now"],
  ["QUIT", QUIT],
  ["quit  ", QUIT],
  ["BDAT 1000000 LAST", `421 4.5.1 ${HOST} no BDAT here, closing connection`],
  ["ATRN", NOT_IMPLEMENTED],
  ["ETRN example.org", NOT_IMPLEMENTED],
  ["SAML FROM:<a@b.example>", NOT_IMPLEMENTED],
  ["SEND FROM:<a@b.example>", NOT_IMPLEMENTED],
  ["SOML FROM:<a@b.example>", NOT_IMPLEMENTED],
  ["TURN", NOT_IMPLEMENTED],
  ["", PROXY],
  ["PROXY TCP4 192.0.2.7 203.0.113.9 56324 25", PROXY],
  ["PROXY UNKNOWN", PROXY],
  ["PROXY", PROXY],
  ["PROXYX", UNKNOWN],
  [" ", UNKNOWN],
  [".", UNKNOWN],
  ["\0", UNKNOWN],
  ["\0EHLO x", UNKNOWN],
  ["EHL", UNKNOWN],
  ["EHLOO x", UNKNOWN],
  ["STARTTLSX", UNKNOWN],
  ["STARTTL", UNKNOWN],
  ["LHLO client.example", UNKNOWN],
  ["XCLIENT ADDR=192.0.2.1", UNKNOWN],
  ["GET / HTTP/1.1", UNKNOWN],
  ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", UNKNOWN],
  ["\xc4\xb0MAIL", UNKNOWN],
];

Deno.test("every command, whatever its form and place", () => {
  for (const [line, reply] of COMMANDS) {
    for (const lineEnd of ["\r\n", "\n"]) {
      const d = dialogue();
      assertEquals(ask(d, line + lineEnd), reply, JSON.stringify(line));
      assertEquals(d.done, /^[24]21/.test(reply), JSON.stringify(line));
    }
  }
});

Deno.test("every command after every other one", () => {
  for (const [first, before] of COMMANDS) {
    if (/^[24]21/.test(before)) continue;
    for (const [second, reply] of COMMANDS) {
      // Only the first line may be a PROXY header.
      const after = reply === PROXY ? UNKNOWN : reply;
      assertEquals(
        ask(dialogue(), `${first}\r\n${second}\r\n`),
        `${before}\r\n${after}`,
      );
    }
  }
});

Deno.test("a PROXY header gets one 421, however it arrives", () => {
  const version2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" +
    "\xcb\0\x71\x05\xc6\x33\x64\x01\x04\xd2\0\x19";
  const version1 = "PROXY TCP4 203.0.113.5 198.51.100.1 1234 25\r\n";
  for (const header of [version1, version2]) {
    for (const rest of ["", "EHLO client.example\r\nMAIL FROM:<>\r\n"]) {
      for (const size of [1, 2, 7, 512]) {
        const d = dialogue();
        let said = "";
        const input = header + rest;
        for (let at = 0; at < input.length; at += size) {
          said += d.receive(bytes(input.slice(at, at + size)));
        }
        assertEquals(said, `${PROXY}\r\n`);
        assertEquals([d.done, d.quit, d.hasProxyHeader], [true, false, true]);
        assertEquals(envelope(d), { recipients: 0 });
      }
    }
  }
  const d = dialogue();
  ask(d, `NOOP\r\n${version1}\r\n`);
  assertEquals([d.done, d.hasProxyHeader], [false, false]);
});

Deno.test("the banner says ESMTP and carries no enhanced code", () => {
  assertEquals(dialogue().greeting(), `220 ${HOST} ESMTP\r\n`);
});

Deno.test("the deferral is the caller's, and never more than one line", () => {
  const deferrals: [given: string, sent: string][] = [
    ["451 4.3.0 Temporary trouble", "451 4.3.0 Temporary trouble"],
    ["451 4.7.1 a\r\n250 b", "451 4.7.1 a 250 b"],
    ["451 4.7.1 " + "x".repeat(500), "451 4.7.1 " + "x".repeat(500)],
    ["451 4.7.1 " + "x".repeat(501), "451 4.7.1 " + "x".repeat(500)],
  ];
  for (const [deferral, sent] of deferrals) {
    const d = new Dialogue({ hostname: HOST, deferral });
    assertEquals(ask(d, "RCPT TO:<a@b>\r\nDATA\r\n"), `${sent}\r\n${sent}`);
  }
});

Deno.test("a host name is never more than one line of a domain's length", () => {
  const d = new Dialogue({
    hostname: "a\r\nb" + "c".repeat(300),
    deferral: DEFERRAL,
  });
  assertEquals(d.greeting(), `220 a b${"c".repeat(252)} ESMTP\r\n`);
});

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

/** A line of so many bytes, CRLF included, that begins with `start`. */
function lineOf(size: number, start: string): string {
  return start + "x".repeat(size - start.length - 2) + "\r\n";
}

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

Deno.test("deferred commands are not bad ones", () => {
  const d = dialogue();
  const lines = ["RCPT TO:<a@b>", "DATA", "STARTTLS", "AUTH X", "VRFY x"];
  for (let i = 0; i < 100; i++) ask(d, lines.join("\r\n") + "\r\n");
  assertEquals(d.done, false);
});

Deno.test("a message sent in spite of the 451 ends the session", () => {
  const d = dialogue();
  const message = "Subject: x\r\n\r\n" + "Some text.\r\n".repeat(50) + ".\r\n";
  const replies = ask(d, `DATA\r\n${message}`).split("\r\n");
  assertEquals(replies[0], DEFERRAL);
  assertEquals(replies.length, 1 + 20);
  assertEquals(replies[20], TOO_MANY);
  assert(d.done);
});

Deno.test("quit is true only if QUIT was the last line", () => {
  const cases: [input: string[], quit: boolean][] = [
    [["QUIT\r\n"], true],
    [["RCPT TO:<a@b>\r\nQUIT\r\n"], true],
    [["QU", "IT\r\n"], true],
    [["QUIT\r\nN"], false],
    [["QUIT\r\nQUIT\r\n"], false],
    [["NOOP\r\n"], false],
    [["BDAT 1\r\n"], false],
    [["NOOP\r\nQUIT"], false],
  ];
  for (const [input, quit] of cases) {
    const d = dialogue();
    for (const piece of input) ask(d, piece);
    assertEquals(d.quit, quit, JSON.stringify(input));
  }
});

Deno.test("nothing is answered after the end", () => {
  const quit = dialogue();
  assertEquals(ask(quit, "QUIT\r\nNOOP\r\nMAIL FROM:<a@b>\r\n"), QUIT);
  assertEquals(ask(quit, "NOOP\r\n"), "");
  assertEquals(quit.shutdown(), "");
  assertEquals(envelope(quit), { recipients: 0 });

  const bdat = dialogue();
  assertEquals(
    ask(bdat, "RCPT TO:<a@b>\r\nBDAT 12 LAST\r\nMAIL\r\nQUIT\r\n"),
    `${DEFERRAL}\r\n421 4.5.1 ${HOST} no BDAT here, closing connection`,
  );

  const slow = dialogue();
  ask(slow, "NOO");
  assertEquals(
    slow.timeout(),
    `421 4.4.2 ${HOST} timed out, closing connection\r\n`,
  );
  assert(slow.done);
  assertEquals(ask(slow, "P\r\n"), "");

  const stopped = dialogue();
  assertEquals(
    stopped.shutdown(),
    `421 4.3.2 ${HOST} shutting down, closing connection\r\n`,
  );
  assert(stopped.done);
  assertEquals(stopped.timeout(), "");
});

// Bursts as these senders write them when PIPELINING is listed.
const POSTFIX = "MAIL FROM:<a@b.example> SIZE=1022 BODY=8BITMIME\r\n" +
  "RCPT TO:<c@d.example> ORCPT=rfc822;c@d.example\r\n" +
  "RCPT TO:<e@d.example> ORCPT=rfc822;e@d.example\r\nDATA\r\n";
const EXIM = "MAIL FROM:<a@b.example> SIZE=1537\r\n" +
  "RCPT TO:<c@d.example>\r\nDATA\r\n";

Deno.test("pipelined bursts are answered in order", () => {
  const postfix = dialogue();
  assertEquals(ask(postfix, "EHLO mail.b.example\r\n"), EHLO);
  assertEquals(
    ask(postfix, POSTFIX),
    [MAIL, DEFERRAL, DEFERRAL, DEFERRAL].join("\r\n"),
  );
  assertEquals(ask(postfix, "RSET\r\nQUIT\r\n"), `${RSET}\r\n${QUIT}`);
  assertEquals(envelope(postfix), {
    helo: "mail.b.example",
    from: "a@b.example",
    to: "c@d.example",
    recipients: 2,
  });

  const exim = dialogue();
  assertEquals(
    ask(exim, `EHLO mail.b.example\r\n${EXIM}QUIT\r\n`),
    [EHLO, MAIL, DEFERRAL, DEFERRAL, QUIT].join("\r\n"),
  );
});

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

Deno.test("cutText", () => {
  const fallback = "Greylisted, please try again later";
  const texts: [given: string, line: string][] = [
    ["Greylisted, 60 seconds", "Greylisted, 60 seconds"],
    ["  spaces around \t", "spaces around"],
    ["two\r\nlines", "two lines"],
    ["two\nlines\n", "two lines"],
    ["a\r\n250 2.0.0 forged", "a 250 2.0.0 forged"],
    [
      "tab\there, NUL\0here, ESC\x1b[31m, DEL\x7f!",
      "tab here, NUL here, ESC [31m, DEL !",
    ],
    ["NEL\x85LS\u2028PS\u2029end", "NEL LS PS end"],
    ["später, 😀 今", "sp?ter, ? ?"],
    ["lone \ud83d surrogate", "lone ? surrogate"],
    ["", fallback],
    [" \r\n\t\0", fallback],
    ["x".repeat(500), "x".repeat(500)],
    ["x".repeat(501), "x".repeat(500)],
    ["x".repeat(499) + " y", "x".repeat(499)],
    ["\n" + "😀".repeat(501), "?".repeat(500)],
  ];
  for (const [given, line] of texts) {
    assertEquals(cutText(given), line, JSON.stringify(given.slice(0, 40)));
    assert(`451 4.7.1 ${cutText(given)}\r\n`.length <= 512);
  }
});
