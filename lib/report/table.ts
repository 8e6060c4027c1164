/**
 * Tables of the report's page.
 *
 * @module
 */

import { tied } from "./format.ts";
import { type Markup, markup } from "./markup.ts";

/** One row of a table. */
export interface Row {
  cells: (string | Markup)[];
  /** Words below the row, over the whole width of the table. */
  example?: (string | undefined)[];
}

/** A table under its heading; nothing if it has no rows. */
export function table(
  title: string,
  columns: string[],
  rows: Row[],
  note?: string,
): Markup | string {
  if (rows.length === 0) return "";
  return markup`<section>
<h2>${title}</h2>
${note === undefined ? "" : markup`<p>${tied(note)}</p>\n`}${
    plainTable(columns, rows)
  }
</section>
`;
}

/** A table without a heading. */
export function plainTable(columns: string[], rows: Row[]): Markup {
  const head = columns.map((column) => markup`<th scope="col">${column}</th>`);
  return markup`<table>
<thead><tr>${head}</tr></thead>
<tbody>
${rows.map(tableRow)}</tbody>
</table>`;
}

function tableRow({ cells, example = [] }: Row): Markup {
  const [name, ...values] = cells;
  const words = example.filter((word) => word !== undefined).join(" ");
  const row = markup`<th scope="row">${name}</th>${
    values.map((value) => markup`<td>${value}</td>`)
  }`;
  if (words === "") return markup`<tr>${row}</tr>\n`;
  const below = markup`<td colspan="${cells.length}"><div>${words}</div></td>`;
  return markup`<tr class="joined">${row}</tr><tr class="example">${below}</tr>
`;
}
