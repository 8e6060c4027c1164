/**
 * Bar charts in SVG. Lengths across the page are percentages and the size of text
 * is in pixels, so that a chart is readable at any width.
 *
 * @module
 */

import { amount, share, tied } from "./format.ts";
import { type Markup, markup } from "./markup.ts";
import { plainTable } from "./table.ts";

/** A chart of stacked bars, at least one. */
export interface Chart {
  /** Unique on the page. */
  id: string;
  title: string;
  note?: string;
  /** The name of the bars' labels: the head of the table's first column. */
  first: string;
  /** The series of a stack, from the bottom. */
  series: Series[];
  bars: Bar[];
}

/** One colour of a chart. */
export interface Series {
  name: string;
  /** The class in the style sheet. */
  style: string;
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
/** The most labels on the axis. */
const TICKS = 12;
/** The width of a plot, in pixels, on a wide screen and on one of 360 pixels. */
const WIDE = 900, NARROW = 265;
/** The width of a character of a label and of the gap after it, in pixels. */
const CHARACTER = 7.5, GAP = 6;
/** The most grid lines above 0. */
const LINES = 5;

/** The chart, with its numbers as a table that can be unfolded. */
export function barChart(chart: Chart): Markup {
  const { id, title, note, series, bars } = chart;
  const sums = bars.map(({ values }) => values.reduce((a, b) => a + b, 0));
  // The axis ends with the highest bar.
  const top = Math.max(1, ...sums);
  const highest = bars[sums.indexOf(Math.max(...sums))];
  const summary = `${bars.length} bars. The highest is ` +
    `${highest.label}: ${describe(highest, series)}.`;
  const levels = gridLevels(top);
  const scale = levels.map((level) =>
    markup`<span style="top:${yOf(level / top)}px">${amount(level)}</span>`
  );
  const lines = levels.map((level) => {
    const y = yOf(level / top);
    return markup`<line x1="0" x2="100%" y1="${y}" y2="${y}"/>\n`;
  });
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
${note === undefined ? "" : markup`<p>${tied(note)}</p>\n`}${
    key(series)
  }</figcaption>
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

/** The position of a share of the axis, in pixels from the top. */
function yOf(share: number): number {
  return Math.round(HEIGHT * (1 - share) * 10) / 10;
}

/** 0 and the even steps up to `top`: multiples of 1, 2 or 5 times a power of 10. */
function gridLevels(top: number): number[] {
  const least = Math.max(1, top / LINES);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power)
    .find((step) => step >= least)!;
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => i * step);
}

function describe({ values }: Bar, series: Chart["series"]): string {
  return values.map((value, s) => `${amount(value)} ${series[s].name}`)
    .join(", ");
}

/** The legend of the colours, if there are several. */
function key(series: Series[]): Markup | string {
  if (series.length < 2) return "";
  const entries = series.map(({ name, style }) =>
    markup`<span>${swatch(style)} ${name}</span> `
  );
  return markup`<p class="key">${entries}</p>\n`;
}

function swatch(style: string): Markup {
  const box = markup`<rect width="12" height="12" class="${style}"/>`;
  return markup`<svg width="12" height="12" aria-hidden="true">${box}</svg>`;
}

/** A part of the bar of shares. */
export interface Part extends Series {
  count: number;
  note: string;
}

/**
 * One bar across the page, with a legend of its parts below it.
 *
 * @param whole what the parts are parts of, in words
 */
export function shareBar(id: string, whole: string, parts: Part[]): Markup {
  const total = parts.reduce((sum, { count }) => sum + count, 0);
  let x = 0;
  const rects = parts.map(({ count, style }) => {
    if (count === 0) return "";
    const width = 100 * count / total;
    const start = x;
    x += width;
    return markup`<rect x="${start.toFixed(3)}%" width="${
      width.toFixed(3)
    }%" height="40" class="${style}"/>`;
  });
  const words = parts.map(({ name, count }) => `${amount(count)} ${name}`);
  const items = parts.map(({ name, count, style, note }) =>
    markup`<div><dt>${swatch(style)} ${name}</dt><dd>${
      tied(share(count, total))
    }</dd><dd>${amount(count)} of ${whole}</dd>${
      note === "" ? "" : markup`<dd>${tied(note)}</dd>`
    }</div>\n`
  );
  return markup`<figure class="shares">
<svg role="img" aria-labelledby="${id}-title" width="100%" height="40">
<title id="${id}-title">${whole}: ${words.join(", ")}</title>
${rects}</svg>
<dl class="tiles">
${items}</dl>
</figure>
`;
}

/** One stacked bar and its label. */
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
    // Half a pixel at least, so that every number can be seen.
    const height = Math.max(0.5, value / top * HEIGHT);
    y -= height;
    const place = markup`x="${x}%" y="${y.toFixed(2)}" width="${
      width.toFixed(3)
    }%"`;
    return markup`<rect ${place} height="${height.toFixed(2)}" class="${
      series[s].style
    }"/>`;
  });
  const [every, narrow] = labelSteps(bars);
  const style = i % narrow === 0 ? "" : "wide";
  const middle = ((i + 0.5) * step).toFixed(3);
  const tick = i % every !== 0
    ? ""
    : markup`<text x="${middle}%" y="${HEIGHT + 16}" class="${style}">${
      bar.tick ?? bar.label
    }</text>`;
  const title = `${bar.label}: ${describe(bar, series)}`;
  return markup`<g><title>${title}</title>${rects}</g>${tick}\n`;
}

/** Which bars have a label: every n-th on a wide screen and on a narrow one. */
function labelSteps(bars: Bar[]): [wide: number, narrow: number] {
  const longest = Math.max(
    ...bars.map(({ label, tick = label }) => tick.length),
  );
  const width = longest * CHARACTER + GAP;
  const step = (plot: number) =>
    Math.ceil(bars.length / Math.min(TICKS, Math.floor(plot / width) || 1));
  const wide = step(WIDE);
  return [wide, wide * Math.ceil(step(NARROW) / wide)];
}
