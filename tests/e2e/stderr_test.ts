import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { gone, waitFor } from "../harness/process.ts";
import { BASE, writeFile } from "../harness/root.ts";
import { assertOnlySmtp, ATTEMPT, burst } from "../harness/smtp.ts";
import { inBinary } from "../harness/stand_in.ts";
import { openSyslog, withoutSyslog } from "../harness/syslog.ts";
import { inetd, systemd, tcpserver, xinetd } from "../harness/way_in.ts";

// Tests for a standard error that is the client's socket.

const needs = { programs: ["tcpserver"] };
const SESSION = ATTEMPT.join("\r\n") + "\r\n";
const WHO = "ip=127.0.0.1 net=127.0.0.0/24";
const DEFERRED = `defer ${WHO} reason=new wait=60 ` +
  "helo=client.example from=<a@client.example> to=<b@mx.example>";
const AUTO: Partial<Config> = { log: {} };
const EXEMPT = { whitelist: { networks: ["127.0.0.0/8"] } };
/** A configuration module that is right only at compile time. */
const THROWS = `if (${inBinary()}) throw new Error("220 boom\\\\nboom");`;

for (const way of [inetd, xinetd, systemd]) {
  const rooted = { ...way, root: true };
  const mounting = { ...way, mounts: true };

  e2e(
    `${way.name}: the log goes to syslog, never to the client`,
    mounting,
    async () => {
      clean();
      await using syslog = openSyslog();
      const binary = await compile(AUTO);
      const { before } = syslog;
      await using server = await way.start({ binary, before, next: greeter() });
      const text = await burst(server.port, SESSION);
      assertOnlySmtp(text);
      await gone(binary);
      await waitFor("a message", () => syslog.messages.length > 0);
      const [message, ...more] = syslog.messages;
      const match =
        /^<22>([A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d) greylist\[(\d+)\]: (.*)$/
          .exec(message);
      assert(match !== null, message);
      assertEquals(match[3], DEFERRED);
      assertEquals(more, []);
    },
  );

  e2e(
    `${way.name}: without a syslog daemon the client is served`,
    mounting,
    async () => {
      clean();
      const binary = await compile(AUTO);
      await using server = await way.start({
        binary,
        before: withoutSyslog(),
        next: greeter(),
      });
      const text = await burst(server.port, SESSION);
      assertOnlySmtp(text);
      assertMatch(text, /\r\n451 4\.7\.1 /);
    },
  );

  e2e(
    `${way.name}: a failing next program shows no error to the client`,
    mounting,
    async () => {
      clean();
      await using syslog = openSyslog();
      const binary = await compile({ ...AUTO, ...EXEMPT });
      await using server = await way.start({
        binary,
        before: syslog.before,
        next: ["/nonexistent/qmail-smtpd"],
      });
      const text = await burst(server.port, SESSION);
      assertOnlySmtp(text);
      assertMatch(text, /^421 4\.3\.0 [^\r]*\r\n$/);
      await waitFor("two messages", () => syslog.messages.length === 2);
      assertMatch(
        syslog.messages[1],
        /^<19>.*: error defer reason=error client=127\.0\.0\.1 what="\/nonexistent\/qmail-smtpd: /,
      );
    },
  );

  e2e(
    `${way.name}: an error in the check is for the log only`,
    mounting,
    async () => {
      clean();
      // A wrapper of the last test may be pruning.
      Deno.removeSync(BASE, { recursive: true });
      await using syslog = openSyslog();
      const binary = await compile({ ...AUTO, onError: "defer" });
      const { before } = syslog;
      await using server = await way.start({ binary, before, next: greeter() });
      const text = await burst(server.port, SESSION);
      assertOnlySmtp(text);
      assertMatch(text, /\r\n451 4\.3\.0 /);
      await waitFor("a message", () => syslog.messages.length > 0);
      assertMatch(syslog.messages[0], /^<19>.*: error defer .*reason=error/);
    },
  );

  e2e(
    `${way.name}: a configuration that throws at start lets in`,
    mounting,
    async () => {
      clean();
      await using syslog = openSyslog();
      const binary = await compile(AUTO, THROWS);
      const { before } = syslog;
      await using server = await way.start({ binary, before, next: greeter() });
      const text = await burst(server.port, "QUIT\r\n");
      assertEquals(text, `${NEXT}\r\n250 QUIT\r\n`);
      await waitFor("a message", () => syslog.messages.length > 0);
      assertMatch(
        syslog.messages[0],
        /^<19>[^\n]*: error pass [ -~]*220 boom[ -~]*boom/,
      );
      assertEquals(syslog.messages.length, 1);
    },
  );

  e2e(
    `${way.name}: without PROGRAM the client gets a 421`,
    rooted,
    async () => {
      clean();
      const binary = await compile(AUTO);
      const script = writeFile(
        "no_program.sh",
        `#!/bin/sh\nexec ${binary}\n`,
        0o755,
      );
      await using server = await way.start({ binary: script, next: ["x"] });
      const text = await burst(server.port, SESSION);
      assertOnlySmtp(text);
      assertMatch(text, /^421 4\.3\.0 /);
    },
  );

  e2e(`${way.name}: the next program has its stderr back`, rooted, async () => {
    clean();
    const binary = await compile({ ...AUTO, ...EXEMPT });
    const script = writeFile("stderr.sh", "#!/bin/sh\necho mine >&2\n", 0o755);
    await using server = await way.start({ binary, next: [script] });
    assertEquals(await burst(server.port, ""), "mine\n");
  });
}

const AT_START_ONLY: Record<string, string> = {
  throws: THROWS,
  "throws no Error": `if (${inBinary()}) throw null;`,
  "is wrong": `if (${inBinary()}) Number.isInteger = () => false;`,
};

for (const [what, before] of Object.entries(AT_START_ONLY)) {
  e2e(`a configuration that ${what} at start only lets in`, needs, async () => {
    clean();
    const binary = await compile(AUTO, before);
    await using server = await tcpserver.start({ binary, next: greeter() });
    assertEquals((await burst(server.port, "QUIT\r\n")).split("\r\n")[0], NEXT);
    assertMatch(
      server.stderr(),
      /^error pass [^\n]*reason=error what="[^\n]*"\n$/,
    );
  });
}

e2e(
  "target stderr is not followed into the client's socket",
  inetd,
  async () => {
    clean();
    const binary = await compile({ log: { target: "stderr" } });
    await using server = await inetd.start({ binary, next: greeter() });
    const text = await burst(server.port, SESSION);
    assertOnlySmtp(text);
    assertMatch(text, /\r\n451 4\.7\.1 /);
  },
);

e2e(
  "what a configuration prints on stderr does not reach the client",
  inetd,
  async () => {
    clean();
    const binary = await compile({
      ...AUTO,
      deferral: {
        message: ({ seconds }) => {
          console.error("not for the client");
          return `in ${seconds}`;
        },
      },
    }, 'console.error("nor this");');
    await using server = await inetd.start({ binary, next: greeter() });
    const text = await burst(server.port, SESSION);
    assertOnlySmtp(text);
    assertMatch(text, /\r\n451 4\.7\.1 in 60\r\n221 /);
  },
);

e2e("the last words of the runtime are not for the client", inetd, async () => {
  clean();
  const binary = await compile({
    ...AUTO,
    deferral: {
      message: ({ ip }) => {
        // Too much for the runtime, which then aborts.
        const hoard: string[][] = [];
        while (ip === "127.0.0.1") hoard.push(Array(100_000).fill(ip));
        return "fine";
      },
    },
  });
  const script = writeFile(
    "limited.sh",
    '#!/bin/sh\nulimit -c 0; ulimit -d 700000\nexec "$@"\n',
    0o755,
  );
  const before = [script];
  await using server = await inetd.start({ binary, before, next: greeter() });
  assertEquals(await burst(server.port, SESSION), "");
  await gone(binary);
});
