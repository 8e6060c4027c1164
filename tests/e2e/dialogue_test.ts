import { assert, assertEquals, assertMatch } from "@std/assert";
import { clean, clientLines, compile } from "../harness/binary.ts";
import { begin } from "../harness/begin.ts";
import { bothWays } from "../harness/both_ways.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import {
  assertOnlySmtp,
  ATTEMPT,
  burst,
  bytesOf,
  Client,
  talk,
} from "../harness/smtp.ts";

bothWays("every command of RFC 5321 has its answer", {}, async (way) => {
  await using server = await begin(way);
  const dialogue: [string, RegExp][] = [
    ["EHLO client.example", /^250-mx\.example\n(250-\S+\n)+250 \S+$/],
    ["HELO client.example", /^250 mx\.example/],
    [
      "MAIL FROM:<a@b.example> BODY=8BITMIME SMTPUTF8 SIZE=9999999999",
      /^250 2\.1\.0 /,
    ],
    ["RCPT TO:<c@d.example> NOTIFY=NEVER", /^451 4\.7\.1 /],
    ["RCPT TO:<e@d.example>", /^451 4\.7\.1 /],
    ["DATA", /^451 4\.7\.1 /],
    ["RSET", /^250 2\.0\.0 /],
    ["MAIL FROM:<>", /^250 2\.1\.0 /],
    ["NOOP", /^250 2\.0\.0 /],
    ["VRFY a", /^252 2\.0\.0 /],
    ["EXPN a", /^252 2\.0\.0 /],
    ["HELP", /^214 2\.0\.0 /],
    ["AUTH PLAIN AGEAYg==", /^454 4\.7\.0 /],
    ["STARTTLS", /^454 4\.7\.0 /],
    ["NONSENSE", /^500 5\.5\.2 /],
    ["quit", /^221 2\.0\.0 /],
  ];
  const replies = await talk(server.port, dialogue.map(([line]) => line));
  assertMatch(replies[0], /^220 mx\.example ESMTP/);
  dialogue.forEach(([, expected], i) => assertMatch(replies[i + 1], expected));
  assertEquals(replies.length, dialogue.length + 1);
  const extensions = replies[1].split("\n").slice(1).map((line) =>
    line.slice(4)
  );
  assertEquals(
    extensions.sort(),
    ["8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE", "SMTPUTF8"],
  );
});

bothWays(
  "no 5xx to HELO, EHLO and MAIL, whatever their parameters",
  {},
  async (way) => {
    await using server = await begin(way);
    const lines = [
      "MAIL",
      "HELO",
      "EHLO",
      "EHLO \xff\x01",
      "MAIL FROM",
      "MAIL x",
    ];
    const replies = await talk(server.port, lines);
    assertEquals(replies.length, lines.length + 1);
    for (const reply of replies) assertMatch(reply, /^2\d\d[ -]/);
  },
);

bothWays("twenty bad commands end the session", {}, async (way) => {
  await using server = await begin(way);
  const text = await burst(server.port, "x\r\n".repeat(50));
  assertOnlySmtp(text);
  const lines = text.split("\r\n").slice(1, -1);
  assertEquals(lines.length, 20);
  assertMatch(lines[18], /^500 /);
  assertMatch(lines[19], /^421 4\.7\.0 /);
});

bothWays(
  "long lines, bare line feeds and bytes that are no text",
  {},
  async (way) => {
    await using server = await begin(way);
    const long = "x".repeat(5000);
    const commands =
      `EHLO ${long}\nMAIL FROM:<\xc3\xbc@\xff.example>\nRCPT TO:<${long}>\n` +
      `RCPT TO:<b\xe2\x82\xac@mx.example>\nDATA ${long}\nQUIT\n`;
    const text = await burst(server.port, bytesOf(commands));
    assertOnlySmtp(text);
    const codes = text.split("\r\n").filter((line) => line[3] === " ")
      .map((line) => line.slice(0, 9));
    // Behind the banner and the reply to EHLO.
    assertEquals(codes.slice(2), [
      "250 2.1.0",
      // A RCPT or DATA line that is too long is deferred as any other.
      "451 4.7.1",
      "451 4.7.1",
      "451 4.7.1",
      "221 2.0.0",
    ]);
    await server.idle();
    assert(
      clientLines()[0].endsWith(" from=<ü@\\xff.example> to=<b€@mx.example>"),
      clientLines()[0],
    );
  },
);

bothWays("a PROXY header gets a 421, and the log says so", {}, async (way) => {
  await using server = await begin(way);
  const headers = [
    "PROXY TCP4 192.0.2.7 203.0.113.9 56324 25\r\n",
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xcb\0\x71\x09\xdc\x04\0\x19",
  ];
  for (const header of headers) {
    const text = await burst(
      server.port,
      bytesOf(`${header}EHLO a.example\r\n`),
    );
    assertMatch(text, /^220 [^\r]*\r\n421 4\.3\.0 mx\.example [^\r]*\r\n$/);
  }
  await server.idle();
  const lines = clientLines();
  assertEquals(lines.length, 2);
  for (const line of lines) {
    assertMatch(
      line,
      /Z defer ip=\S+ net=\S+ reason=\w+ wait=\d+ what="a PROXY header or an empty line: expected [^"]*\bserve\.proxy"$/,
    );
  }
});

bothWays("one byte at a time", {}, async (way) => {
  await using server = await begin(way);
  using client = await Client.connect(server.port);
  for (const byte of ATTEMPT.slice(0, 3).join("\r\n") + "\r\n") {
    await client.send(byte);
  }
  const replies = [];
  for (let i = 0; i < 4; i++) replies.push(await client.reply());
  assertMatch(replies[3] ?? "", /^451 4\.7\.1 /);
});

bothWays(
  "forty messages over one connection are one defer line",
  {},
  async (way) => {
    await using server = await begin(way);
    const lines = Array.from(
      { length: 40 },
      () => [...ATTEMPT.slice(1, 3), "RSET"],
    ).flat();
    const replies = await talk(server.port, [ATTEMPT[0], ...lines, "QUIT"]);
    assertEquals(replies.filter((reply) => reply.startsWith("451")).length, 40);
    await server.idle();
    assertEquals(clientLines().length, 1);
  },
);

e2e("on pipes instead of a socket", {}, async () => {
  clean();
  const binary = await compile();
  const { code, stdout, stderr } = await run([binary, "false"], {
    env: { TCPREMOTEIP: "192.0.2.1" },
    input: ATTEMPT.join("\r\n") + "\r\n",
  });
  assertEquals([code, stderr], [0, ""]);
  assertOnlySmtp(stdout);
  assert(stdout.includes("\r\n451 4.7.1 "));
});
