import { assert, assertEquals } from "@std/assert";
import { barChart } from "../../lib/report/chart.ts";
import { htmlReport } from "../../lib/report/html.ts";
import { LogReader } from "../../lib/report/logline.ts";
import { Tally } from "../../lib/report/tally.ts";
import { Browser, findChromium } from "../harness/browser.ts";
import { e2e } from "../harness/need.ts";

const DAY = 86400;
const START = new Date(2026, 9, 1).getTime() / 1000;

/**
 * A log of so many days, with what senders of all kinds would leave in it, on two
 * hosts, compared with its first half.
 */
function page(days: number): string {
  const tally = new Tally(DAY);
  const half = { since: START, until: START + days * DAY / 2 };
  const before = new Tally(DAY, half);
  const reader = new LogReader(START);
  const write = (time: number, text: string) => {
    const stamp = new Date(time * 1000).toISOString();
    const host = Math.floor(time) % 2 === 0 ? "mx1" : `mx2.${long}`;
    const line = reader.read(`${stamp} ${host} greylist[1]: ${text}`);
    tally.add(line);
    before.add(line);
  };
  const long = "x".repeat(190);
  for (let hour = 0; hour < days * 24; hour++) {
    const now = START + hour * 3600;
    for (let i = 0; i < 5 + hour % 24; i++) {
      const net = i % 4 === 0
        ? `2001:db8:${hour.toString(16)}:${i}::/64`
        : `198.${hour % 256}.${i}.0/24`;
      const mail = `helo=${i % 2 ? long : `mx${i}`}.example.com ` +
        `from=<a${i % 3}@${long}.example> to=<b${hour % 7}@c.example>`;
      for (let n = 0; n <= hour % 5; n++) {
        const reason = n === 0 ? "new" : "early";
        write(
          now + n,
          `defer ip=x net=${net} reason=${reason} wait=60 ${mail}`,
        );
      }
      if (i % 3 === 0) {
        const age = 60 + 47 * i * (hour % 50);
        write(now + age, `pass ip=x net=${net} reason=retried age=${age}`);
      }
      write(now, `pass ip=x net=known reason=known age=1 accepted=9`);
    }
    write(now, `pass ip=x reason=whitelisted rule=/${long}:${hour % 12}`);
    write(
      now,
      `defer ip=x net=<script>alert(1)</script> reason=early ${HOSTILE}`,
    );
    write(now, `would-defer ip=x net=n${hour} reason=new wait=60 ${HOSTILE}`);
    if (hour % 9 === 0) write(now, `error what="${long} <b> & ${HOSTILE}"`);
    write(now, `warn what="/etc/whitelist:${hour % 7}: bad line"`);
    for (let i = 0; i < 4; i++) {
      const mail = "from=<news@tenant.example> to=<b@c.example>";
      const net = `203.0.${i}.0/24`;
      const helo = `helo=out${i}.cloudmail.example`;
      write(
        now + i,
        `defer ip=x net=${net} reason=new wait=60 ${helo} ${mail}`,
      );
    }
    write(now + 4000, "pass ip=x net=203.0.0.0/24 reason=retried age=4000");
    tally.addUnreadable();
  }
  return htmlReport(tally.report(), START, before.report());
}

const HOSTILE = `helo="><img/src=http://192.0.2.1/> ` +
  `from=<a'onload='alert(1)'@</style></title><script>alert(2)</script>> to=<b>`;

Deno.test("the page refers to nothing and runs nothing", () => {
  const text = page(3);
  assert(text.startsWith("<!DOCTYPE html>"));
  assert(!/<(script|img|iframe|object|embed|base|form)\b/i.test(text));
  assertEquals(text.match(/\b(href|src|action)="[^"]*"/g), ['href="data:,"']);
  assert(!/url\(|@import/i.test(text));
});

Deno.test("an empty report is a page too", () => {
  const text = htmlReport(new Tally(DAY).report(), START);
  assert(text.includes("<h1>Greylisting report</h1>"));
  assert(!/NaN|undefined|Infinity|null/.test(text), text);
});

Deno.test("the story comes first, then the delay, then the load", () => {
  const text = page(3);
  const order = [
    "errors and",
    "never came back in time",
    'aria-labelledby="became-title"',
    "Two periods",
    "Delay of real mail",
    "What you can do",
    "Connections by day",
    "By host",
    "What was done",
  ].map((part) => [part, text.indexOf(part)] as const);
  for (const [i, [part, at]] of order.entries()) {
    assert(at > 0 && (i === 0 || at > order[i - 1][1]), part);
  }
  assert(text.includes("<pre>{ name: &quot;cloudmail.example&quot;, hosts"));
});

Deno.test("an axis ends with its highest bar", () => {
  const chart = (values: number[]) =>
    barChart({
      id: "x",
      title: "x",
      first: "x",
      series: [{ name: "x", style: "stopped" }],
      bars: values.map((value, i) => ({ label: `${i}`, values: [value] })),
    }).markup;
  const levels = (values: number[]) =>
    [...chart(values).matchAll(/<span style="top:([\d.]+)px">([\d,]+)</g)]
      .map(([, top, level]) => [level, Number(top)]);
  assertEquals(levels([8100, 3]), [
    ["0", 180],
    ["2,000", 135.6],
    ["4,000", 91.1],
    ["6,000", 46.7],
    ["8,000", 2.2],
  ]);
  assertEquals(levels([4]), [
    ["0", 180],
    ["1", 135],
    ["2", 90],
    ["3", 45],
    ["4", 0],
  ]);
  // The highest bar has the full height.
  assert(chart([8100, 3]).includes('y="0.00" width="40.000%" height="180.00"'));
});

Deno.test("no cell is NaN or undefined", () => {
  const text = page(40).replace(/<style>.*<\/style>/s, "");
  assert(!/NaN|undefined|Infinity|>null</.test(text));
});

/** Faults of layout that a reader would complain about. */
const COMPLAINTS = Deno.readTextFileSync(
  new URL("../harness/complaints.js", import.meta.url),
);

e2e("the page in Chromium", {
  programs: findChromium() === undefined ? ["chromium"] : [],
}, async (t) => {
  // Before the browser: the last one takes a slow machine a minute.
  const pages = [1, 45, 800].map((days) => ({ days, text: page(days) }));
  await using browser = await Browser.start(findChromium()!);
  const shots = Deno.env.get("REPORT_SCREENSHOTS");
  const directory = Deno.makeTempDirSync({ prefix: "greylist-report-" });
  try {
    for (const { days, text } of pages) {
      const file = `${directory}/report.html`;
      Deno.writeTextFileSync(file, text);
      browser.requests.length = 0;
      await browser.open(`file://${file}`);
      await t.step(`${days} days: no request, no message`, () => {
        const own = [`file://${file}`, "data:,"];
        assertEquals(browser.requests.filter((url) => !own.includes(url)), []);
        assertEquals(browser.messages, []);
      });
      for (const width of [360, 400, 1400]) {
        for (const scheme of ["light", "dark"] as const) {
          await t.step(`${days} days, ${width} px, ${scheme}`, async () => {
            await browser.look({ width, scheme });
            if (shots) {
              const name = `${shots}/${days}-${width}-${scheme}.png`;
              Deno.writeFileSync(name, await browser.screenshot());
            }
            assertEquals(await browser.evaluate(COMPLAINTS), []);
            const paper = await browser.evaluate<string>(
              "getComputedStyle(document.body).backgroundColor",
            );
            assertEquals(paper === "rgb(255, 255, 255)", scheme === "light");
          });
        }
      }
      await t.step(`${days} days, unfolded tables`, async () => {
        await browser.look({ width: 360 });
        await browser.evaluate(
          "document.querySelectorAll('details').forEach((d) => d.open = true)",
        );
        assertEquals(await browser.evaluate(COMPLAINTS), []);
      });
      await t.step(`${days} days, on paper`, async () => {
        await browser.look({ width: 700, scheme: "dark", media: "print" });
        assertEquals(await browser.evaluate(COMPLAINTS), []);
        const paper = await browser.evaluate<string>(
          "getComputedStyle(document.body).backgroundColor",
        );
        assertEquals(paper, "rgb(255, 255, 255)");
      });
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
