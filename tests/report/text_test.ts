import { assertEquals } from "@std/assert";
import { textReport } from "../../lib/report/text.ts";
import { Log, mixedLog, WINDOW } from "../harness/report_log.ts";

/** The lines from a heading to the next blank line. */
function section(lines: readonly string[], heading: string): string[] {
  const from = lines.indexOf(heading);
  const to = lines.indexOf("", from);
  return lines.slice(from, to < 0 ? undefined : to);
}

Deno.test("text: troubles, the first sentence and the bar of new networks", () => {
  const lines = textReport(mixedLog().tally.report());
  const end = lines.findIndex((line) => line.startsWith("Delay of real mail"));
  assertEquals(lines.slice(0, end), [
    "From 2026-11-02 12:00 to 2026-11-03 13:18 (1 d 1 h)",
    "",
    "1 warning:",
    "         1  WARN     /w:3: bad line",
    "",
    "40 % of 5 new networks never came back in time; 2 were let in, half of them",
    "within 1 min 30 s.",
    "",
    `  ${"#".repeat(30)}${"+".repeat(31)}${".".repeat(15)}`,
    "  # stopped                     2   40.0 % of new networks, never let in",
    "  + let in later                2   40.0 % of new networks",
    "  . still open                  1   20.0 % of new networks, log ends within 1 d",
    "    came only once              2  100.0 % of the 2",
    "",
  ]);
});

Deno.test("text: one network that was stopped", () => {
  const log = new Log().defer("new", "a").after(WINDOW).pass("known", "k");
  const lines = textReport(log.tally.report());
  assertEquals(lines.filter((line) => line.includes("only once")), [
    "    came only once              1  100.0 % of the 1",
  ]);
});

Deno.test("text: what must not be misread stands below the bar", () => {
  const lines = textReport(new Log().defer("new", "a").tally.report());
  const at = lines.findIndex((line) => line.startsWith("The log is too short"));
  const end = lines.findIndex((line) => line.startsWith("Delay of real mail"));
  assertEquals(at > 0 && at < end, true, lines.join("\n"));
});

Deno.test("text: the bars of the delay", () => {
  const log = mixedLog().pass("retried", "a", " age=61");
  const lines = textReport(log.tally.report());
  assertEquals(
    section(lines, "Delay of real mail, from first deferral to acceptance"),
    [
      "Delay of real mail, from first deferral to acceptance",
      "  3 waits: half took up to 1 min 30 s, 90 % up to 1 h 8 min, the longest",
      "  1 h 8 min.",
      `  under 2 min                2  ${"+".repeat(44)}`,
      "  under 5 min                0",
      "  under 10 min               0",
      "  under 15 min               0",
      "  under 30 min               0",
      "  under 1 h                  0",
      `  under 2 h                  1  ${"+".repeat(22)}`,
    ],
  );
});

Deno.test("text: connections by verdict, day and hour", () => {
  const lines = textReport(mixedLog().tally.report());
  const done = "What was done                            share of connections";
  assertEquals(section(lines, done), [
    done,
    "  connections                          11     100.0 %",
    "  deferred                              8      72.7 %",
    "    new                                 5      45.5 %",
    "    early                               3      27.3 %",
    "  let in                                3      27.3 %",
    "    retried                             2      18.2 %",
    "    whitelisted                         1       9.1 %",
  ]);
  const head = "               # stopped  + delayed     . open  = at once";
  assertEquals(section(lines, "Connections by day"), [
    "Connections by day",
    head,
    "  2026-11-02           2          7          0          1  ####++++++++++++++==",
    "  2026-11-03           0          0          1          0  ..",
  ]);
  const [title, columns, ...hours] = section(
    lines,
    "Connections by hour of day",
  );
  assertEquals([title, columns], ["Connections by hour of day", head]);
  assertEquals(hours.length, 24);
  assertEquals(hours.slice(9, 14), [
    "  09                   0          0          0          0",
    "  10                   0          0          0          0",
    "  11                   0          0          0          0",
    "  12                   2          6          0          0  #####+++++++++++++++",
    "  13                   0          1          1          1  +++..===",
  ]);
});

Deno.test("text: what little there is has a bar", () => {
  const log = new Log().defer("new", "a").after(3600);
  for (let i = 0; i < 1000; i++) log.pass("known", "b");
  const lines = textReport(log.tally.report());
  const [, , ...hours] = section(lines, "Connections by hour of day");
  assertEquals(hours.slice(12, 14), [
    "  12                   0          0          1          0  .",
    "  13                   0          0          0      1,000  ====================",
  ]);
});

Deno.test("text: the tables of networks, pools and rules", () => {
  const lines = textReport(mixedLog().tally.report());
  const head =
    "  network                          deferrals   tries       delay  outcome";
  const most = [
    "  192.0.2.0/24                             4       4   1 h 8 min  accepted",
    "     out2.cloud.example <a@b.example>",
  ];
  assertEquals(section(lines, "Deferred most"), [
    "Deferred most",
    head,
    ...most,
    "  192.0.0.0/24                             1       1           -  stopped",
    "     out0.cloud.example <a@b.example>",
    "  192.0.1.0/24                             1       1           -  stopped",
    "     out1.cloud.example <a@b.example>",
    "  192.0.3.0/24                             1       1  1 min 30 s  accepted",
    "     out3.cloud.example <a@b.example>",
    "  2001:db8:1111:2222:3333:4444:5555:0/112",
    "                                           1       1           -  open",
  ]);
  assertEquals(section(lines, "Let in after the most tries"), [
    "Let in after the most tries",
    head,
    ...most,
  ]);
  assertEquals(section(lines, "Same mail again from other networks"), [
    "Same mail again from other networks",
    "  domain                             moves   networks     let in",
    "  cloud.example                          3          4          2",
    "     out1.cloud.example <a@b.example>",
  ]);
  assertEquals(section(lines, "Whitelisted by rule"), [
    "Whitelisted by rule",
    "             1  env:RELAYCLIENT",
  ]);
});

Deno.test("text: an address stands in for what an observed client did not say", () => {
  const log = new Log().observe("new", "192.0.2.0/24").after(600)
    .pass("retried", "192.0.2.0/24", " age=600");
  const title = "Came again in time: greylisting would have delayed these";
  assertEquals(section(textReport(log.tally.report()), title).slice(2), [
    "  192.0.2.0/24                             1       1           -  accepted",
    "     x",
  ]);
});

Deno.test("text: hosts that share one database", () => {
  const log = new Log();
  const at = (host: string, text: string) =>
    log.line(`Nov  2 12:00:00 ${host} greylist[1]: ${text}`);
  at("mx1.example", "would-defer ip=x net=a reason=new wait=60");
  at("mx1.example", "pass ip=x net=k reason=known");
  at("mx2.example", "defer ip=x net=b reason=new wait=60");
  at("mx1.example", "pass ip=x net=b reason=retried age=60");
  at("mx2.example", 'error pass ip=x reason=error what="x"');
  assertEquals(section(textReport(log.tally.report()), "By host"), [
    "By host",
    "                           deferred     let in    retried  elsewhere     errors",
    "  mx1.example                     0          3          1          1          0",
    "  mx2.example                     1          1          0          0          1",
    "  retried: let in after a wait; elsewhere: of these, the networks",
    "  that another host had deferred first",
  ]);
});
