import { assertEquals } from "@std/assert";
import { delayBars, periods } from "../../lib/report/bars.ts";
import { Log } from "../harness/report_log.ts";

const COUNT = { stopped: 1, delayed: 20, open: 300, atOnce: 4000 };
const SUM = { stopped: 2, delayed: 40, open: 600, atOnce: 8000 };

Deno.test("bars: days that are put together, each outcome for itself", () => {
  const cases: [string, string, string][] = [
    ["week", "2026-11-09", "2026-11-15"],
    ["month", "2026-11", "2026-11-30"],
    ["year", "2026", "2026-12-31"],
  ];
  for (const [unit, label, last] of cases) {
    const first = { year: "2026-01-01", month: "2026-11-01" }[unit] ??
      "2026-11-09";
    const byDay = [first, last].map((day) => ({ day, ...COUNT }));
    assertEquals(
      periods(byDay, 1),
      { unit, counts: [{ label, ...SUM }] } as never,
      unit,
    );
  }
  assertEquals(periods([], 1), { unit: "day", counts: [] });
});

Deno.test("bars: years are shown however many they are", () => {
  const byDay = ["2024-12-31", "2026-01-01"].map((day) => ({ day, ...COUNT }));
  const none = { stopped: 0, delayed: 0, open: 0, atOnce: 0 };
  assertEquals(periods(byDay, 1), {
    unit: "year",
    counts: [
      { label: "2024", ...COUNT },
      { label: "2025", ...none },
      { label: "2026", ...COUNT },
    ],
  });
});

Deno.test("bars: the limits of the delay", () => {
  const report = new Log().pass("retried", "a", " age=59")
    .pass("retried", "b", " age=28800").pass("retried", "c", " age=86400")
    .tally.report();
  const bars = delayBars(report.delay).map(({ label, count }) =>
    `${label}: ${count}`
  );
  assertEquals(bars, [
    "under 1 min: 1",
    "under 2 min: 0",
    "under 5 min: 0",
    "under 10 min: 0",
    "under 15 min: 0",
    "under 30 min: 0",
    "under 1 h: 0",
    "under 2 h: 0",
    "under 4 h: 0",
    "under 8 h: 0",
    "under 16 h: 1",
    "under 1 d: 0",
    "1 d or more: 1",
  ]);
});
