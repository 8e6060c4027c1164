import { assertEquals } from "@std/assert";
import { Hosts } from "../../lib/report/hosts.ts";

Deno.test("hosts: any beyond the hundredth are counted as one", () => {
  const hosts = new Hosts();
  for (let round = 0; round < 2; round++) {
    for (let i = 100; i < 400; i++) {
      hosts.enter(`mx${i}`);
      hosts.count("deferred");
    }
  }
  hosts.enter("mx100");
  hosts.enter("mx400");
  hosts.count("deferred");
  const rows = hosts.rows();
  assertEquals(rows.length, 100);
  assertEquals(rows[0], {
    host: "mx100",
    deferred: 2,
    wouldDefer: 0,
    passed: 0,
    retried: 0,
    elsewhere: 0,
    warnings: 0,
    errors: 0,
  });
  assertEquals(rows[99].host, "others");
  assertEquals(rows[99].deferred, 403);
});

Deno.test("hosts: a first deferral that is not known was nowhere else", () => {
  const hosts = new Hosts();
  hosts.enter("mx1");
  const first = hosts.current;
  hosts.retried(undefined);
  hosts.retried(first);
  hosts.enter("mx2");
  hosts.retried(first);
  hosts.enter();
  assertEquals(
    hosts.rows().map(({ host, retried, elsewhere }) => [
      host,
      retried,
      elsewhere,
    ]),
    [["(not named)", 0, 0], ["mx1", 2, 0], ["mx2", 1, 1]],
  );
});
