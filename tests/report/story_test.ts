import { assert, assertEquals } from "@std/assert";
import { duration, roughly, tied } from "../../lib/report/format.ts";
import {
  caveats,
  outcomes,
  summary,
  troubleHeading,
  verdicts,
  waits,
} from "../../lib/report/story.ts";
import { textReport } from "../../lib/report/text.ts";
import { Log, WINDOW } from "../harness/report_log.ts";

/** So many networks that come once, and some that come again after a wait. */
function siteLog(stopped: number, waits: number[]): Log {
  const log = new Log();
  for (let i = 0; i < stopped; i++) log.defer("new", `bad${i}`);
  waits.forEach((_, i) => log.defer("new", `good${i}`));
  let now = 0;
  waits.forEach((wait, i) => {
    log.after(wait - now).pass("retried", `good${i}`, ` age=${wait}`);
    now = wait;
  });
  return log;
}

Deno.test("the first sentence", () => {
  const log = siteLog(7, [60, 600, 900]).after(WINDOW).defer("new", "last");
  const report = log.tally.report();
  assertEquals(
    summary(report),
    "64 % of 11 new networks never came back in time; 3 were let in, half of " +
      "them within 10 min.",
  );
  assertEquals(caveats(report), []);
  // The sentence is the first thing after the time that the log spans.
  const [, , first] = textReport(report);
  assert(first.startsWith("64 % of 11 new networks"), first);
});

Deno.test("one network, and none", () => {
  const one = new Log().defer("new", "a").after(90)
    .pass("retried", "a", " age=90").after(WINDOW).pass("known", "a");
  assertEquals(
    summary(one.tally.report()),
    "0 % of 1 new network never came back in time; 1 was let in after " +
      "1 min 30 s.",
  );
  assertEquals(
    waits(one.tally.report()),
    "1 wait: half took up to 1 min 30 s, 90 % up to 1 min 30 s, the longest " +
      "1 min 30 s.",
  );
  // It was forgotten meanwhile.
  const twice = new Log().defer("new", "a").after(90)
    .pass("retried", "a", " age=90").after(WINDOW).defer("new", "a").after(90)
    .pass("retried", "a", " age=90");
  assertEquals(
    summary(twice.tally.report()),
    "0 % of 1 new network never came back in time; 1 was let in, half of its " +
      "2 waits within 1 min 30 s.",
  );
  // Nothing says how long it would have waited.
  const known = new Log().defer("new", "a").after(90).pass("known", "a")
    .after(WINDOW).pass("known", "a").tally.report();
  assertEquals(
    summary(known),
    "0 % of 1 new network never came back in time; 1 was let in.",
  );
  assertEquals(waits(known), "No wait ended in acceptance.");
  const empty = new Log().tally.report();
  assertEquals(summary(empty), "The log holds no connection.");
  assertEquals(caveats(empty), []);
  assertEquals(
    summary(new Log().pass("known", "a").tally.report()),
    "No new network was deferred.",
  );
});

Deno.test("a log that is too short says so", () => {
  const log = siteLog(7, [60]).after(WINDOW - 61).pass("known", "x");
  const report = log.tally.report();
  assertEquals(
    summary(report),
    "Of 8 new networks, 1 was let in after 1 min so far.",
  );
  const [short] = caveats(report);
  assert(
    short.startsWith("The log is too short to say which networks were stopped"),
    short,
  );
  assert(short.includes("spans 23 h 59 min"), short);
  // Long enough, but most networks can still come back.
  for (let i = 0; i < 20; i++) log.after(1).defer("new", `late${i}`);
  const [open] = caveats(log.tally.report());
  assert(open.startsWith("The log is short: 20 of the 28"), open);
  // If half of them can, the share says something.
  const half = siteLog(5, []).after(WINDOW);
  for (let i = 0; i < 5; i++) half.defer("new", `late${i}`);
  assertEquals(caveats(half.tally.report()), []);
});

Deno.test("mode observe: no client waited, and the text claims nothing", () => {
  const log = new Log();
  for (let i = 0; i < 8; i++) log.observe("new", `n${i}`);
  log.after(30).observe("early", "n0");
  log.after(600).pass("retried", "n0", " age=630 accepted=1");
  log.after(WINDOW).pass("known", "n0", " age=5 accepted=2");
  const report = log.tally.report();
  assertEquals([report.connections, report.deferred], [11, 0]);
  assertEquals(report.wouldDeferByReason, { new: 8, early: 1 });
  assertEquals([report.networks.deferred, report.networks.observed], [8, 8]);
  assertEquals([report.networks.stopped, report.networks.accepted], [7, 1]);
  assertEquals(report.delay.count, 0, "no mail waited");
  assertEquals(report.byDay[0], {
    day: "2026-11-02",
    stopped: 7,
    delayed: 2,
    open: 0,
    atOnce: 1,
  });
  assertEquals(
    summary(report),
    "88 % of 8 new networks, all let in, never came back in time; 1 came " +
      "again in time.",
  );
  assertEquals(
    report.wouldDelay.map((
      { network, ip, deferrals },
    ) => [network, ip, deferrals]),
    [["n0", "x", 2]],
    "whom it would have delayed",
  );
  assert(textReport(report).some((line) => line.startsWith("Came again in")));
  const text = textReport(report).join("\n");
  assert(text.includes('No mail waited (mode "observe").'), text);
  const [caveat] = caveats(report);
  assert(caveat.startsWith('Nobody was deferred (mode "observe")'), caveat);
  assert(caveat.includes("at most"), caveat);
});

Deno.test("mode observe: a log that is too short, of one network", () => {
  const log = new Log().observe("new", "a").after(90)
    .pass("retried", "a", " age=90");
  const report = log.tally.report();
  assertEquals(
    summary(report),
    "Of 1 new network, all let in, 1 came again in time so far.",
  );
  assertEquals(waits(report), 'No mail waited (mode "observe").');
});

Deno.test("what became of networks and connections, by name", () => {
  const names = (log: Log) =>
    outcomes(log.tally.report()).map(({ name, note }) =>
      note === "" ? name : `${name}: ${note}`
    );
  const open = "still open: log ends within 1 d";
  const enforced = ["stopped: never let in", "let in later", open];
  assertEquals(names(new Log()), enforced);
  assertEquals(
    names(new Log().observe("new", "a").defer("new", "b")),
    enforced,
  );
  const observed = new Log().observe("new", "a");
  assertEquals(names(observed), ["never came back", "came again", open]);
  const counts = (log: Log) =>
    verdicts(log.tally.report()).map(({ name, count }) => `${name} ${count}`);
  // Two of them are always said.
  assertEquals(counts(new Log()), ["deferred 0", "let in 0"]);
  assertEquals(counts(observed), [
    "deferred 0",
    "would have been deferred 1",
    "let in 0",
  ]);
});

Deno.test("observed first, then enforced", () => {
  const log = new Log().observe("new", "a").after(700)
    .pass("retried", "a", " age=700").defer("new", "b").after(90)
    .pass("retried", "b", " age=90").after(WINDOW).pass("known", "b");
  const report = log.tally.report();
  assertEquals([report.networks.deferred, report.networks.observed], [2, 1]);
  assertEquals([report.delay.count, report.delay.worst], [1, 90]);
  assertEquals(
    summary(report),
    "0 % of 2 new networks never came back in time; 2 were let in, half of " +
      "their 1 wait within 1 min 30 s.",
  );
  assertEquals(report.wouldDelay.map(({ network }) => network), ["a"]);
  const [caveat] = caveats(report);
  assert(
    caveat.startsWith("1 new network of these was let in at once"),
    caveat,
  );
});

Deno.test("errors and warnings stand on top, most frequent first", () => {
  const log = new Log().defer("new", "a");
  assertEquals(troubleHeading(log.tally.report()), undefined);
  log.write('warn what="/etc/whitelist:3: bad line"');
  for (let i = 0; i < 3; i++) {
    log.write('error pass ip=x reason=error what="disk full net=x"');
  }
  const report = log.tally.report();
  assertEquals(troubleHeading(report), "3 errors and 1 warning");
  assertEquals(report.troubles, [
    { level: "ERROR", what: "disk full net=x", count: 3 },
    { level: "WARN", what: "/etc/whitelist:3: bad line", count: 1 },
  ]);
  const lines = textReport(report);
  const at = (text: string) => lines.findIndex((line) => line.includes(text));
  assert(at("3 errors and 1 warning") < at("new network"), lines.join("\n"));
});

Deno.test("shares in sentences: 0 is none and 100 is all", () => {
  assertEquals(roughly(0, 1000), "0 %");
  assertEquals(roughly(1, 1000), "less than 1 %");
  assertEquals(roughly(500, 1000), "50 %");
  assertEquals(roughly(999, 1000), "more than 99 %");
  assertEquals(roughly(1000, 1000), "100 %");
});

Deno.test("a number keeps its unit", () => {
  const text = `87.0 % within ${duration(607)} and 5 domains, 2 h, 3 sites`;
  assertEquals(
    tied(text),
    "87.0\u00a0% within 10\u00a0min\u00a07\u00a0s and 5 domains, 2\u00a0h, 3 sites",
  );
  const log = siteLog(3, [607]).after(WINDOW).pass("known", "x");
  for (const line of textReport(log.tally.report())) {
    assert(!/^\s*(%|d|h|min|s)\b/.test(line), line);
  }
});
