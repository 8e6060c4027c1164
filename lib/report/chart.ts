/**
 * Bar charts in SVG. Lengths along the page are percentages and all text has its
 * size in pixels, so that a chart is readable at any width.
 *
 * @module
 */

import { amount } from "./format.ts";
import { type Markup, markup } from "./markup.ts";
import { plainTable } from "./table.ts";

/** A chart of stacked bars, at least one. */
export interface Chart {
  /** Unique on the page. */
  id: string;
  title: string;
  note?: string;
  /** What the labels of the bars are: the first column of the table below. */
  first: string;
  /** What is stacked, from the bottom; `style` is its class. */
  series: { name: string; style: string }[];
  bars: Bar[];
}

interface Bar {
  label: string;
  /** A short label for the axis. */
  tick?: string;
  /** One value a series. */
  values: number[];
}

/** Pixels. */
const HEIGHT = 180;
/** Labels on the axis at most; every second one goes on a narrow screen. */
const TICKS = 12;
const LEVELS = [0, 0.5, 1];

/** The chart, with its numbers as a table that can be unfolded. */
export function barChart(chart: Chart): Markup {
  const { id, title, note, series, bars } = chart;
  const sums = bars.map(({ values }) => values.reduce((a, b) => a + b, 0));
  const top = ceiling(Math.max(1, ...sums));
  const highest = bars[sums.indexOf(Math.max(...sums))];
  const summary = `${bars.length} bars. The highest is ` +
    `${highest.label}: ${describe(highest, series)}.`;
  const scale = LEVELS.map((level) =>
    markup`<span style="top:${yOf(level)}px">${amount(top * level)}</span>`
  );
  const lines = LEVELS.map((level) =>
    markup`<line x1="0" x2="100%" y1="${yOf(level)}" y2="${yOf(level)}"/>\n`
  );
  const rows = bars.map(({ label, values }) => ({
    cells: [label, ...values.map(amount)],
  }));
  const columns = [chart.first, ...series.map(({ name }) => name)];
  const names = `${id}-title ${id}-desc`;
  const height = HEIGHT + 22;
  return markup`<section>
<figure>
<figcaption>
<h2>${title}</h2>
${note === undefined ? "" : markup`<p>${note}</p>\n`}${key(series)}</figcaption>
<div class="plot">
<div class="scale" aria-hidden="true">${scale}</div>
<svg class="chart" role="img" aria-labelledby="${names}" height="${height}">
<title id="${id}-title">${title}</title>
<desc id="${id}-desc">${summary}</desc>
${lines}${bars.map((bar, i) => stack(chart, bar, i, top))}</svg>
</div>
<details>
<summary>Numbers</summary>
${plainTable(columns, rows)}
</details>
</figure>
</section>
`;
}

function yOf(level: number): number {
  return HEIGHT * (1 - level);
}

function describe({ values }: Bar, series: Chart["series"]): string {
  return values.map((value, s) => `${amount(value)} ${series[s].name}`)
    .join(", ");
}

/** What the colours mean, where there are several. */
function key(series: Chart["series"]): Markup | string {
  if (series.length < 2) return "";
  const entries = series.map(({ name, style }) => {
    const box = markup`<rect width="12" height="12" class="${style}"/>`;
    const icon = markup`<svg width="12" height="12" aria-hidden="true">${box}`;
    return markup`<span>${icon}</svg> ${name}</span> `;
  });
  return markup`<p class="key">${entries}</p>\n`;
}

/** One bar with all that is stacked in it, and its label. */
function stack(
  { bars, series }: Chart,
  bar: Bar,
  i: number,
  top: number,
): Markup {
  const step = 100 / bars.length;
  const width = step * (bars.length > 40 ? 0.9 : 0.8);
  const x = ((i + 0.5) * step - width / 2).toFixed(3);
  let y = HEIGHT;
  const rects = bar.values.map((value, s) => {
    if (value === 0) return "";
    // What is there at all can be seen.
    const height = Math.max(0.5, value / top * HEIGHT);
    y -= height;
    const place = markup`x="${x}%" y="${y.toFixed(2)}" width="${
      width.toFixed(3)
    }%"`;
    return markup`<rect ${place} height="${height.toFixed(2)}" class="${
      series[s].style
    }"/>`;
  });
  const every = Math.ceil(bars.length / TICKS);
  const crowded = bars.length > TICKS / 2;
  const style = crowded && i / every % 2 !== 0 ? "wide" : "";
  const middle = ((i + 0.5) * step).toFixed(3);
  const tick = i % every !== 0
    ? ""
    : markup`<text x="${middle}%" y="${HEIGHT + 16}" class="${style}">${
      bar.tick ?? bar.label
    }</text>`;
  const title = `${bar.label}: ${describe(bar, series)}`;
  return markup`<g><title>${title}</title>${rects}</g>${tick}\n`;
}

/** The next even number of one leading digit or so, for the top of a scale. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 3, 4, 5, 6, 8, 10]) {
    const top = factor * power;
    if (top >= value && top % 2 === 0) return top;
  }
  return 2;
}
