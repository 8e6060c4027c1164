import { assert, assertEquals } from "@std/assert";
import { Dialogue } from "../../lib/smtp/dialogue.ts";
import { cutText } from "../../lib/smtp/reply_text.ts";
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
  MAIL,
  POSTFIX,
  PROXY,
  QUIT,
  RSET,
  TOO_MANY,
  UNKNOWN,
} from "../harness/dialogue.ts";

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
