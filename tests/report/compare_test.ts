import { assertEquals } from "@std/assert";
import { compare, periodName } from "../../lib/report/compare.ts";
import type { Report } from "../../lib/report/report.ts";
import { DAY, Log, WINDOW } from "../harness/report_log.ts";

/** Both values of one figure. */
function figure(name: string, first: Report, second: Report) {
  return compare(first, second).find((row) => row.name === name)?.values;
}

Deno.test("compare: the load a day, of a period of a day or more", () => {
  const empty = new Log().tally.report();
  const of = (seconds: number): Report => ({
    ...empty,
    from: 1000,
    to: 1000 + seconds,
    connections: 1000,
    networks: { ...empty.networks, deferred: 10 },
  });
  const days = (seconds: number) => [
    figure("connections a day", empty, of(seconds)),
    figure("new networks a day", empty, of(seconds)),
  ];
  assertEquals(days(DAY - 1), [["-", "-"], ["-", "-"]]);
  assertEquals(days(DAY), [["-", "1,000"], ["-", "10"]]);
  assertEquals(days(3 * DAY), [["-", "333"], ["-", "3"]]);
  const timeless: Report = { ...of(DAY), from: null, to: null };
  assertEquals(figure("connections a day", timeless, of(DAY)), ["-", "1,000"]);
});

Deno.test("compare: a network that is let in at once did not wait", () => {
  const enforced = new Log().defer("new", "a").defer("new", "b").after(600)
    .pass("retried", "a", " age=600").pass("known", "k").pass("known", "k")
    .tally.report();
  const observed = new Log().observe("new", "a").observe("new", "b").after(600)
    .pass("retried", "a", " age=600").tally.report();
  assertEquals(
    figure("let in at once, of connections", enforced, observed),
    ["40.0 %", "100.0 %"],
  );
});

Deno.test("compare: what there is no figure for, and the heads", () => {
  const empty = new Log().tally.report();
  const one = new Log().defer("new", "a").after(WINDOW).pass("known", "k")
    .tally.report();
  for (
    const [name, value] of [
      ["let in at once, of connections", "50.0 %"],
      ["stopped, of new networks", "100.0 %"],
      ["let in later, of new networks", "0.0 %"],
      ["still open, of new networks", "0.0 %"],
      ["longest wait", "-"],
    ]
  ) assertEquals(figure(name, empty, one), ["-", value], name);
  assertEquals(periodName(empty), "no entry with a time");
  assertEquals(periodName(one), "2026-11-02 12:00 to 2026-11-03 12:00 (1 d)");
});
