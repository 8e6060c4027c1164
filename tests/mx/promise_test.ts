// Runs alone: it starts hundreds of clients at once.

import { assertEquals, assertMatch } from "@std/assert";
import {
  attempt,
  clientOf,
  compileMx,
  Mx,
  MX_NEEDS,
  type Way,
  WAYS,
} from "../harness/mx.ts";
import { e2e } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import { waitFor } from "../harness/process.ts";

// What one MX host learns about a client counts at the other one.

const DEFERRED = /^451 4\.7\.1 /;

/** How many clients come to both hosts in the same instant. */
const CROWD = 200;

e2e("mx: several hosts are one greylist", MX_NEEDS, async (t) => {
  const binary = await compileMx({ timeouts: { delay: "1h" } });
  await using mx = await Mx.up();
  for (const number of [1, 2]) {
    for (const way of WAYS) await mx.listen(number, way, binary);
  }

  let next = 0;
  for (const one of WAYS) {
    for (const two of WAYS) {
      await t.step(`${one} at MX 1, ${two} at MX 2`, async () => {
        const { from, net, entry } = clientOf(next++);
        const ip = `ip=${from} net=${net}`.replaceAll(".", "\\.");
        const banner = async (number: number, way: Way) =>
          (await attempt(number, way, from)).transcript[0];
        const deferral = async (number: number, way: Way) =>
          (await attempt(number, way, from)).transcript[3];

        assertMatch(await deferral(1, one), DEFERRED);
        await mx.logged(1, new RegExp(`^defer ${ip} reason=new `));
        assertMatch(await deferral(2, two), DEFERRED);
        await mx.logged(2, new RegExp(`^defer ${ip} reason=early `));
        mx.age(entry, 4000);
        assertEquals(await banner(2, two), NEXT);
        await mx.logged(
          2,
          new RegExp(`^pass ${ip} reason=retried .*accepted=1$`),
        );
        assertEquals(await banner(1, one), NEXT);
        await mx.logged(
          1,
          new RegExp(`^pass ${ip} reason=known .*accepted=2$`),
        );
        assertEquals(Deno.statSync(mx.path(entry)).size, 2);
      });
    }
  }

  for (
    const [one, two] of [["serve", "serve"], ["wrapper", "serve"]] as const
  ) {
    await t.step(`${CROWD} networks at once, ${one} and ${two}`, async () => {
      const clients = Array.from({ length: CROWD }, () => clientOf(next++));
      const nets = new Set(clients.map(({ net }) => net));
      const begin = [mx.log(1).length, mx.log(2).length];
      /** What both logs have of these clients since then. */
      const lines = () =>
        [1, 2].flatMap((number) => mx.log(number).slice(begin[number - 1]))
          .filter((line) =>
            nets.has(/^(?:defer|pass) .*net=(\S+)/.exec(line)?.[1] ?? "")
          );
      const both = () =>
        Promise.all(clients.flatMap(({ from }) => [
          attempt(1, one, from),
          attempt(2, two, from),
        ]));
      const count = (pattern: RegExp) =>
        lines().filter((line) => pattern.test(line)).length;
      const logged = (length: number) =>
        waitFor("all lines", () => lines().length === length);

      for (const { transcript } of await both()) {
        assertMatch(transcript[3] ?? "unanswered", DEFERRED);
      }
      await logged(2 * CROWD);
      assertEquals(count(/^defer .* reason=new /), CROWD);
      assertEquals(count(/^defer .* reason=early /), CROWD);
      const news = lines().filter((line) => / reason=new /.test(line))
        .map((line) => / net=(\S+)/.exec(line)![1]);
      assertEquals(new Set(news), nets);

      for (const { entry } of clients) mx.age(entry, 4000);
      for (const { transcript } of await both()) {
        assertEquals(transcript[0], NEXT);
      }
      await logged(4 * CROWD);
      assertEquals(count(/^pass .* reason=(retried|known) /), 2 * CROWD);
      for (const { entry } of clients) {
        // Two that pass in the same instant may be counted as one.
        assertMatch(String(Deno.statSync(mx.path(entry)).size), /^[12]$/);
      }
    });
  }

  assertEquals(mx.troubles(), []);
});
