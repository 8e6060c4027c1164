import { assertEquals } from "@std/assert";
import { compare } from "../../lib/report/compare.ts";
import { parsePeriod, parseTime } from "../../lib/report/period.ts";
import { textReport } from "../../lib/report/text.ts";
import { DAY, Log, START, WINDOW } from "../harness/report_log.ts";

const NOW = 1_800_000_000;

Deno.test("times", () => {
  const local = (...parts: [number, number, number, number?, number?]) =>
    new Date(parts[0], parts[1] - 1, parts[2], parts[3] ?? 0, parts[4] ?? 0)
      .getTime() / 1000;
  const cases: [string, number | undefined][] = [
    ["2026-11-23", local(2026, 11, 23)],
    ["2026-11-23 19:05", local(2026, 11, 23, 19, 5)],
    ["2026-11-23T19:05", local(2026, 11, 23, 19, 5)],
    ["2026-11-23T19:00:07Z", Date.UTC(2026, 10, 23, 19, 0, 7) / 1000],
    ["2026-11-23T19:00+01:00", Date.UTC(2026, 10, 23, 18) / 1000],
    ["2026-11-23T19:00-0330", Date.UTC(2026, 10, 23, 22, 30) / 1000],
    ["7d", NOW - 7 * DAY],
    ["90s", NOW - 90],
    ["2026-02-29", undefined],
    ["2028-02-29", local(2028, 2, 29)],
    ["2026-13-01", undefined],
    ["2026-11-23 25:00", undefined],
    ["2026-11-23Z", undefined],
    ["2026-11-23T19:00x", undefined],
    ["12026-11-23", undefined],
    ["yesterday", undefined],
    ["7", undefined],
    ["", undefined],
  ];
  for (const [text, time] of cases) {
    assertEquals(parseTime(text, NOW), time, text);
  }
});

Deno.test("periods", () => {
  const since = parseTime("2026-11-01", NOW)!;
  const until = parseTime("2026-11-08", NOW)!;
  const cases: [string, unknown][] = [
    ["2026-11-01..2026-11-08", { since, until }],
    ["..2026-11-08", { since: -Infinity, until }],
    ["2026-11-01..", { since, until: Infinity }],
    ["14d..7d", { since: NOW - 14 * DAY, until: NOW - 7 * DAY }],
    ["2026-11-08..2026-11-01", undefined],
    ["2026-11-01..2026-11-01", undefined],
    ["2026-11-01", undefined],
    ["..", undefined],
    ["2026-11-01..x", undefined],
    ["2026-11-01..2026-11-08..2026-11-09", undefined],
  ];
  for (const [text, period] of cases) {
    assertEquals(parsePeriod(text, NOW), period as never, text);
  }
});

/** Three days with one stopped network each. */
function threeDays(period?: { since: number; until: number }): Log {
  const log = new Log(undefined, period).line("defer ip=x net=t reason=new");
  for (let day = 0; day < 3; day++) {
    log.defer("new", `n${day}`).pass("known", "k").after(DAY);
  }
  return log;
}

Deno.test("entries outside of the period are left out and counted", () => {
  const whole = threeDays().tally.report();
  assertEquals([whole.connections, whole.lines.outside], [7, 0]);
  const period = { since: START + DAY, until: START + 2 * DAY };
  const report = threeDays(period).tally.report();
  // The line without a time is in no period.
  assertEquals([report.connections, report.lines.outside], [2, 5]);
  assertEquals([report.from, report.to], [START + DAY, START + DAY]);
  assertEquals(report.networks.deferred, 1);
});

Deno.test("two periods side by side", () => {
  const log = (stopped: number) => {
    const log = new Log();
    for (let i = 0; i < 4; i++) log.defer("new", `n${i}`);
    log.after(600);
    for (let i = stopped; i < 4; i++) {
      log.pass("retried", `n${i}`, " age=600");
    }
    return log.after(WINDOW).pass("known", "k").tally.report();
  };
  const rows = compare(log(1), log(3));
  const values = Object.fromEntries(
    rows.map(({ name, values }) => [name, values]),
  );
  assertEquals(values["stopped, of new networks"], ["25.0 %", "75.0 %"]);
  assertEquals(values["let in later, of new networks"], ["75.0 %", "25.0 %"]);
  assertEquals(values["half of them took up to"], ["10 min", "10 min"]);
  assertEquals(values["connections"], ["8", "6"]);
  assertEquals(values["let in at once, of connections"], ["12.5 %", "16.7 %"]);
  const text = textReport(log(3), log(1));
  const line = text.find((line) => line.includes("stopped, of new networks"));
  assertEquals(line?.trim().split(/\s{2,}/).slice(1), ["25.0 %", "75.0 %"]);
  for (const line of text) assertEquals(line.length <= 80, true, line);
});
