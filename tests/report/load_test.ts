import { assertEquals } from "@std/assert";
import { Load } from "../../lib/report/load.ts";
import { DAY, START } from "../harness/report_log.ts";

Deno.test("load: days stand in their order, whatever the order of the lines", () => {
  const load = new Load();
  for (const day of [2, 0, 1]) load.pass(START + day * DAY, false);
  const { byDay } = load.summary(() => "open");
  assertEquals(byDay.map(({ day, atOnce }) => [day, atOnce]), [
    ["2026-11-02", 1],
    ["2026-11-03", 1],
    ["2026-11-04", 1],
  ]);
});

Deno.test("load: each deferral counts at its own hour", () => {
  const load = new Load();
  const outcomes = ["stopped", "accepted"] as const;
  // The lines of two hosts may go back in time.
  for (const hour of [0, 1, 0, 0, 2, 1]) {
    for (const network of [0, 1]) load.defer(START + hour * 3600, network);
  }
  load.defer(START, undefined);
  const { byHour } = load.summary((network) => outcomes[network]);
  const none = { open: 0, atOnce: 0 };
  assertEquals(byHour.slice(12, 15), [
    { hour: 12, stopped: 3, delayed: 3, ...none, open: 1 },
    { hour: 13, stopped: 2, delayed: 2, ...none },
    { hour: 14, stopped: 1, delayed: 1, ...none },
  ]);
});
