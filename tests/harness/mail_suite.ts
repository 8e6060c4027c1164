/**
 * Tests of each way in, with a real mail server behind greylist and
 * a real client in front of it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  age,
  clean,
  clientLines,
  compile,
  entries,
  logLines,
} from "./binary.ts";
import { e2e } from "./need.ts";
import {
  exim,
  EXIM_PROGRAMS,
  greeter,
  NEXT,
  SWAKS,
  swaks,
} from "./next_program.ts";
import { processesOf } from "./process.ts";
import { assertOnlySmtp, ATTEMPT, burst, Client, talk } from "./smtp.ts";
import type { WayIn } from "./way_in.ts";

/** Registers the tests for one way in. */
export function mailSuite(way: WayIn): void {
  const needs = way;
  const mailNeeds = {
    ...way,
    programs: [...way.programs, ...EXIM_PROGRAMS, "swaks"],
    root: true,
  };

  e2e(`${way.name}: deferred, early, then delivered`, mailNeeds, async () => {
    clean();
    const binary = await compile();
    const mta = await exim();
    await using server = await way.start({ binary, next: mta.command });

    const first = await swaks(server, "first try");
    assertEquals(first.code, SWAKS.rcptRefused, first.text);
    assertMatch(first.text, /^<- {2}220 mx\.example ESMTP/m);
    assertMatch(first.text, /^<\*\* 451 4\.7\.1 .* in 60 seconds/m);
    assertEquals(entries(), { "127.0.0.0_24": 0 });
    await server.idle();

    const early = await swaks(server, "second try");
    assertEquals(early.code, SWAKS.rcptRefused, early.text);
    assertEquals(entries(), { "127.0.0.0_24": 0 });
    await server.idle();

    age("127.0.0.0_24", 100);
    const third = await swaks(server, "third try");
    assertEquals(third.code, SWAKS.delivered, third.text);
    assertMatch(third.text, /^<- {2}220 mta\.example ESMTP Exim/m);
    await mta.arrival("third try");
    assert(!mta.mailbox().includes("first try"));
    assert(!mta.mailbox().includes("second try"));
    assertEquals(entries(), { "127.0.0.0_24": 1 });
    await server.idle();

    const known = await swaks(server, "fourth mail");
    assertEquals(known.code, SWAKS.delivered, known.text);
    await mta.arrival("fourth mail");
    assertEquals(entries(), { "127.0.0.0_24": 2 });

    const who = "ip=127.0.0.1 net=127.0.0.0/24";
    const envelope =
      "helo=client.example from=<a@client.example> to=<b@mx.example>";
    const lines = clientLines().map((line) => line.replace(/^\S+Z /, ""));
    assertEquals(lines[0], `defer ${who} reason=new wait=60 ${envelope}`);
    assertMatch(lines[1], /^defer .* reason=early wait=\d+ helo=/);
    assertMatch(lines[2], /^pass .* reason=retried age=1\d\d accepted=1$/);
    assertMatch(lines[3], /^pass .* reason=known age=\d+ accepted=2$/);
    assertEquals(lines.length, 4);
    assertEquals(server.stderr().includes("reason="), false);
  });

  e2e(
    `${way.name}: neighbours in a /24 are one client, others are not`,
    mailNeeds,
    async () => {
      clean();
      const binary = await compile();
      const mta = await exim();
      await using server = await way.start({ binary, next: mta.command });
      const from = (address: string, body: string) =>
        swaks(server, body, ["--local-interface", address]);

      const first = await from("127.0.0.5", "from 5");
      assertEquals(first.code, SWAKS.rcptRefused, first.text);
      age("127.0.0.0_24", 100);
      const neighbour = await from("127.0.0.77", "from 77");
      assertEquals(neighbour.code, SWAKS.delivered, neighbour.text);
      await mta.arrival("from 77");
      const other = await from("127.0.1.5", "from elsewhere");
      assertEquals(other.code, SWAKS.rcptRefused, other.text);
      assertEquals(entries(), { "127.0.0.0_24": 1, "127.0.1.0_24": 0 });
    },
  );

  e2e(`${way.name}: the client gets SMTP and nothing else`, needs, async () => {
    clean();
    const binary = await compile();
    await using server = await way.start({ binary, next: greeter() });
    const commands = [...ATTEMPT.slice(0, 3), "DATA", "NONSENSE", "QUIT"];
    const text = await burst(server.port, commands.join("\r\n") + "\r\n");
    assertOnlySmtp(text);
    assertEquals(
      text.split("\r\n").map((line) => line.slice(0, 3)),
      "220 250 250 250 250 250 250 250 451 451 500 221 ".split(" "),
    );
    await server.idle();
  });

  e2e(
    `${way.name}: in an accepted session only the next program runs`,
    needs,
    async () => {
      clean();
      const binary = await compile();
      await using server = await way.start({ binary, next: greeter() });
      await talk(server.port);
      await server.idle();
      age("127.0.0.0_24", 100);
      using client = await Client.connect(server.port);
      assertEquals(await client.reply(), NEXT);
      assertEquals(processesOf(binary).length, way.resident);
      await client.send("one\r\n");
      assertEquals(await client.reply(), "250 one");
      await client.send("QUIT\r\n");
      assertEquals(await client.rest(), "250 QUIT\r\n");
    },
  );

  e2e(
    `${way.name}: a next program that cannot be started is a 421`,
    needs,
    async () => {
      clean();
      const binary = await compile({ whitelist: { networks: ["127.0.0.1"] } });
      const next = ["/nonexistent/qmail-smtpd"];
      await using server = await way.start({ binary, next });
      const text = await burst(server.port, "");
      assertOnlySmtp(text);
      assertMatch(text, /^421 4\.3\.0 /);
      const [passed, failed, ...more] = clientLines();
      assertMatch(
        passed,
        / pass ip=127\.0\.0\.1 net=127\.0\.0\.0\/24 reason=whitelisted/,
      );
      assertMatch(failed, / error .*\/nonexistent\/qmail-smtpd/);
      assertEquals(more, []);
      // A listener has logged this before the first client.
      const early = / error serve what="\/nonexistent\/qmail-smtpd: no program/;
      const told = logLines().filter((line) => early.test(line));
      assertEquals(told.length, way.resident);
      await server.idle();
    },
  );
}
