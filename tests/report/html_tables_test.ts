import { assert, assertEquals } from "@std/assert";
import { htmlReport } from "../../lib/report/html.ts";
import { Log, mixedLog, WINDOW } from "../harness/report_log.ts";

/** What a reader sees of a piece of the page. */
function seen(html: string): string {
  return html.replace(/<[^>]*>/g, "").replaceAll("\u00a0", " ")
    .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"');
}

/** The rows of the table below a heading. */
function rows(page: string, heading: string): string[][] {
  const section = page.split("<h2>").find((part) => part.startsWith(heading));
  return [...section?.matchAll(/<tr.*?<\/tr>/g) ?? []].map(([row]) =>
    [...row.matchAll(/<t[hd]\b.*?<\/t[hd]>/g)].map(([cell]) => seen(cell))
  );
}

function pageOf(log: Log, before?: Log): string {
  return htmlReport(log.tally.report(), log.now, before?.tally.report());
}

Deno.test("html tables: troubles, and what was done", () => {
  const page = pageOf(mixedLog());
  assertEquals(rows(page, "1 warning"), [
    ["message", "level", "count"],
    ["/w:3: bad line", "WARN", "1"],
  ]);
  assertEquals(rows(page, "What was done"), [
    ["", "connections", "share of 11 connections"],
    ["deferred", "8", "72.7 %"],
    ["new", "5", "45.5 %"],
    ["early", "3", "27.3 %"],
    ["let in", "3", "27.3 %"],
    ["retried", "2", "18.2 %"],
    ["whitelisted", "1", "9.1 %"],
  ]);
  assert(page.includes('class="troubles"'));
  assert(!pageOf(new Log()).includes('class="troubles"'));
});

Deno.test("html tables: networks, pools and rules", () => {
  const page = pageOf(mixedLog());
  assertEquals(rows(page, "Came again in time"), []);
  assertEquals(rows(page, "Deferred most"), [
    ["network", "deferrals", "tries", "outcome"],
    ["192.0.2.0/24", "4", "4", "accepted"],
    ["out2.cloud.example <a@b.example>"],
    ["192.0.0.0/24", "1", "1", "stopped"],
    ["out0.cloud.example <a@b.example>"],
    ["192.0.1.0/24", "1", "1", "stopped"],
    ["out1.cloud.example <a@b.example>"],
    ["192.0.3.0/24", "1", "1", "accepted"],
    ["out3.cloud.example <a@b.example>"],
    ["2001:db8:1111:2222:3333:4444:5555:0/112", "1", "1", "open"],
  ]);
  assertEquals(rows(page, "Let in after the most tries"), [
    ["network", "deferrals", "tries", "delay"],
    ["192.0.2.0/24", "4", "4", "1 h 8 min"],
    ["out2.cloud.example <a@b.example>"],
  ]);
  assertEquals(rows(page, "Same mail again from other networks"), [
    ["domain", "moves", "networks", "let in"],
    ["cloud.example", "3", "4", "2"],
    ["out1.cloud.example <a@b.example>"],
  ]);
  assertEquals(rows(page, "Whitelisted by rule"), [
    ["rule", "connections"],
    ["env:RELAYCLIENT", "1"],
  ]);
});

Deno.test("html tables: whom greylisting would have delayed", () => {
  const log = new Log().observe("new", "a").observe("early", "a").after(600)
    .pass("retried", "a", " age=600");
  assertEquals(rows(pageOf(log), "Came again in time"), [
    ["network", "connections", "tries", "example"],
    ["a", "2", "2", "x"],
  ]);
});

Deno.test("html tables: hosts that share one database", () => {
  const log = new Log();
  const at = (host: string, text: string) =>
    log.line(`Nov  2 12:00:00 ${host} greylist[1]: ${text}`);
  at("mx1", "would-defer ip=x net=a reason=new wait=60");
  at("mx1", "pass ip=x net=k reason=known");
  at("mx2", "defer ip=x net=b reason=new wait=60");
  at("mx1", "pass ip=x net=b reason=retried age=60");
  at("mx2", 'error pass ip=x reason=error what="x"');
  const page = pageOf(log);
  assert(page.includes("<p>Retried: let in after a wait. Elsewhere: of these"));
  assertEquals(rows(page, "By host"), [
    ["host", "deferred", "let in", "retried", "elsewhere", "errors"],
    ["mx1", "0", "3", "1", "1", "0"],
    ["mx2", "1", "1", "0", "0", "1"],
  ]);
});

Deno.test("html tables: two periods, each with its sentence", () => {
  const before = new Log().defer("new", "a").after(WINDOW).pass("known", "k");
  const page = pageOf(mixedLog(), before);
  const table = rows(page, "Two periods");
  assertEquals(table[0], ["", "A", "B"]);
  assertEquals(table[1], ["connections", "2", "11"]);
  const periods = page.split("<h2>Two periods</h2>")[1].split("<table>")[0];
  assertEquals(seen(periods).trim().split("\n"), [
    "A: 2026-11-02 12:00 to 2026-11-03 12:00 (1 d). 100 % of 1 new network " +
    "never came back in time; none was let in later.",
    "B: 2026-11-02 12:00 to 2026-11-03 13:18 (1 d 1 h). 40 % of 5 new " +
    "networks never came back in time; 2 were let in, half of them within " +
    "1 min 30 s.",
  ]);
});

Deno.test("html tables: the numbers behind the charts", () => {
  const page = pageOf(mixedLog());
  const head = ["let in at once", "delayed", "stopped", "still open"];
  assertEquals(rows(page, "Connections by day"), [
    ["day", ...head],
    ["2026-11-02", "1", "7", "2", "0"],
    ["2026-11-03", "0", "0", "0", "1"],
  ]);
  const hours = rows(page, "Connections by hour of day");
  assertEquals(hours.length, 25);
  assertEquals(hours[0], ["hour", ...head]);
  assertEquals(hours.slice(13, 15), [
    ["12", "0", "6", "2", "0"],
    ["13", "1", "1", "0", "1"],
  ]);
  const delays = rows(page, "Delay of real mail");
  assertEquals(delays[0], ["delay", "waits"]);
  assertEquals(delays.at(-1), ["under 2 h", "1"]);
  // One day is no chart.
  assertEquals(
    rows(pageOf(new Log().pass("known", "k")), "Connections by day"),
    [],
  );
});

Deno.test("html tables: the days on the axis, and who made the page", () => {
  const page = pageOf(mixedLog());
  assert(page.includes(">11-02</text>"), page);
  assert(
    page.includes("<p>Made by greylist on 2026-11-03 13:18. Times are local."),
  );
});

Deno.test("html tables: each kind of advice under its own heading", () => {
  const log = mixedLog();
  log.defer("new", "203.0.113.0/24", "helo=mx.late.example").after(7200)
    .pass("retried", "203.0.113.0/24", " age=7200");
  const page = pageOf(log);
  const part = page.split("<h2>What you can do</h2>")[1].split("</section>")[0];
  const [note, ...lists] = part.split("<h3>");
  assertEquals(seen(note).trim().startsWith("A sender is proposed if"), true);
  assertEquals(lists.map((list) => seen(list).trim().split("\n")), [
    [
      "Pools, for greylist.config.ts",
      "cloud.example: the same mail came from another network 3 times, from 4 " +
      "networks in all",
      '{ name: "cloud.example", hosts: [".cloud.example"] },',
    ],
    [
      "Whitelist, for a file of whitelist.files",
      "203.0.113.0/24  # mx.late.example, waited 2 h",
    ],
  ]);
});

Deno.test("html tables: no heading without advice of its kind", () => {
  const log = new Log().defer("new", "203.0.113.0/24").after(7200)
    .pass("retried", "203.0.113.0/24", " age=7200");
  const page = pageOf(log);
  const headings = [...page.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, text]) =>
    text
  );
  assertEquals(headings, ["Whitelist, for a file of whitelist.files"]);
  assertEquals(pageOf(new Log()).includes("What you can do"), false);
});

Deno.test("html tables: what became of new networks, below the bar", () => {
  const tiles = (log: Log) =>
    [...pageOf(log).matchAll(/<div><dt>.*?<\/div>/g)].map(([tile]) =>
      [...tile.matchAll(/<d[td]>(.*?)<\/d[td]>/g)].map(([, text]) =>
        seen(text).trim()
      )
    );
  assertEquals(tiles(mixedLog()), [
    [
      "stopped",
      "40.0 %",
      "2 of 5 new networks",
      "100.0 % of these came only once",
    ],
    ["let in later", "40.0 %", "2 of 5 new networks"],
    ["still open", "20.0 %", "1 of 5 new networks", "log ends within 1 d"],
  ]);
  const [stopped] = tiles(new Log().defer("new", "a"));
  assertEquals(stopped, [
    "stopped",
    "0.0 %",
    "0 of 1 new networks",
    "never let in",
  ]);
});
