import { assert, assertEquals } from "@std/assert";
import { barChart, shareBar } from "../../lib/report/chart.ts";

const SERIES = [
  { name: "let in", style: "atOnce" },
  { name: "stopped", style: "stopped" },
];

/** A chart of two colours. */
function chart(values: [number, number][], tick?: (i: number) => string) {
  return barChart({
    id: "x",
    title: "Title",
    note: "Note",
    first: "day",
    series: SERIES,
    bars: values.map((values, i) => ({
      label: `day ${i}`,
      values,
      tick: tick?.(i),
    })),
  }).markup;
}

/** The attributes of each rectangle of a bar. */
function rectangles(markup: string): Record<string, string>[] {
  return [...markup.matchAll(/<rect (x=[^>]*)\/>/g)].map(([, text]) =>
    Object.fromEntries(
      [...text.matchAll(/([a-z]+)="([^"]*)"/g)].map(([, name, value]) => [
        name,
        value,
      ]),
    )
  );
}

Deno.test("chart: bars are stacked from the bottom, side by side", () => {
  const markup = chart([[30, 10], [0, 20], [1, 3999]]);
  assertEquals(rectangles(chart([[30, 10], [0, 20]])), [
    {
      x: "5.000%",
      y: "45.00",
      width: "40.000%",
      height: "135.00",
      class: "atOnce",
    },
    {
      x: "5.000%",
      y: "0.00",
      width: "40.000%",
      height: "45.00",
      class: "stopped",
    },
    {
      x: "55.000%",
      y: "90.00",
      width: "40.000%",
      height: "90.00",
      class: "stopped",
    },
  ]);
  // A small number can be seen all the same.
  const small = rectangles(markup).find(({ x, y }) =>
    x === "70.000%" && y === "179.50"
  );
  assertEquals(small?.height, "0.50");
});

Deno.test("chart: the words around it", () => {
  const markup = chart([[30, 10], [0, 2000]]);
  for (
    const part of [
      "<h2>Title</h2>",
      "<p>Note</p>",
      '<desc id="x-desc">2 bars. The highest is day 1: 0 let in, 2,000 stopped.',
      "<title>day 0: 30 let in, 10 stopped</title>",
      '<p class="key">',
      // The lines of the scale: 0, 500, 1,000 and so on.
      '<line x1="0" x2="100%" y1="135" y2="135"/>',
      'aria-labelledby="x-title x-desc" height="202"',
    ]
  ) assert(markup.includes(part), `${part}: ${markup}`);
  // One colour needs no key.
  const single = barChart({
    id: "x",
    title: "Title",
    first: "day",
    series: SERIES.slice(0, 1),
    bars: [{ label: "day 0", values: [1] }],
  }).markup;
  assert(!single.includes('class="key"') && !single.includes("<p>"), single);
});

Deno.test("chart: so many labels as the axis has room for", () => {
  /** The labels, with `-` in front of those that a narrow screen leaves out. */
  const labels = (count: number, length: number) => {
    const values = Array.from({ length: count }, () => [1, 1] as const);
    const markup = chart(
      values.map(([a, b]) => [a, b]),
      (i) => `${i}`.padStart(length, "0"),
    );
    return [...markup.matchAll(/<text [^>]*class="(.*?)">(\d+)</g)]
      .map(([, style, text]) => Number(text) * (style === "wide" ? -1 : 1));
  };
  assertEquals(labels(5, 2), [0, 1, 2, 3, 4]);
  assertEquals(labels(12, 2), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assertEquals(labels(24, 5), [
    0,
    -2,
    4,
    -6,
    8,
    -10,
    12,
    -14,
    16,
    -18,
    20,
    -22,
  ]);
  // Twelve at most on a wide screen.
  assertEquals(labels(62, 5).length, 11);
  assertEquals(labels(62, 5).filter((i) => i >= 0), [0, 12, 24, 36, 48, 60]);
  // Long ones have room for fewer.
  assertEquals(labels(12, 40), [0, -6]);
});

Deno.test("chart: the bar of shares, and its legend", () => {
  const part = (name: string, count: number, note = "") => ({
    name,
    style: name,
    count,
    note,
  });
  const { markup } = shareBar("x", "4 networks", [
    part("stopped", 3, "never"),
    part("open", 0),
    part("delayed", 1),
  ]);
  assertEquals(rectangles(markup), [
    { x: "0.000%", width: "75.000%", height: "40", class: "stopped" },
    { x: "75.000%", width: "25.000%", height: "40", class: "delayed" },
  ]);
  for (
    const words of [
      "4 networks: 3 stopped, 0 open, 1 delayed</title>",
      "stopped</dt><dd>75.0\u00a0%</dd><dd>3 of 4 networks</dd><dd>never</dd></div>",
      "delayed</dt><dd>25.0\u00a0%</dd><dd>1 of 4 networks</dd></div>",
    ]
  ) assert(markup.includes(words), `${words}: ${markup}`);
});
