import { assert, assertEquals } from "@std/assert";
import { htmlReport } from "../../lib/report/html.ts";
import { LogReader } from "../../lib/report/logline.ts";
import { Tally } from "../../lib/report/tally.ts";
import { Browser, findChromium } from "../harness/browser.ts";
import { e2e } from "../harness/need.ts";

const DAY = 86400;
const START = new Date(2026, 9, 1).getTime() / 1000;

/** A log of so many days, with what senders of all kinds would leave in it. */
function page(days: number): string {
  const tally = new Tally(DAY);
  const reader = new LogReader(START);
  const write = (time: number, text: string) =>
    tally.add(reader.read(`${new Date(time * 1000).toISOString()} ${text}`));
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
    tally.addUnreadable();
  }
  return htmlReport(tally.report(), DAY, START);
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
  const text = htmlReport(new Tally(DAY).report(), DAY, START);
  assert(text.includes("<h1>Greylisting report</h1>"));
  assert(!/NaN|undefined|Infinity|null/.test(text), text);
});

Deno.test("no number went missing", () => {
  const text = page(40).replace(/<style>.*<\/style>/s, "");
  assert(!/NaN|undefined|Infinity|>null</.test(text));
});

/** What somebody who reads the page would complain about. */
const COMPLAINTS = Deno.readTextFileSync(
  new URL("../harness/complaints.js", import.meta.url),
);

e2e("the page in Chromium", {
  programs: findChromium() === undefined ? ["chromium"] : [],
}, async (t) => {
  await using browser = await Browser.start(findChromium()!);
  const shots = Deno.env.get("REPORT_SCREENSHOTS");
  const directory = Deno.makeTempDirSync({ prefix: "greylist-report-" });
  try {
    for (const days of [1, 45, 800]) {
      const file = `${directory}/report.html`;
      Deno.writeTextFileSync(file, page(days));
      browser.requests.length = 0;
      await browser.open(`file://${file}`);
      await t.step(`${days} days: no request, no message`, () => {
        const own = [`file://${file}`, "data:,"];
        assertEquals(browser.requests.filter((url) => !own.includes(url)), []);
        assertEquals(browser.messages, []);
      });
      for (const width of [360, 1400]) {
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
