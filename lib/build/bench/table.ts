/**
 * The table that `deno task bench` prints, and the same as JSON. Pure.
 *
 * @module
 */

/** One number of each row. */
export interface Column {
  /** Its name in the JSON. */
  readonly key: string;
  /** Its name in the table. */
  readonly heading: string;
  /** How many digits behind the point are worth showing. */
  readonly digits: number;
}

/** One thing that was measured, or why it was not. */
export interface Row {
  /** Its name in the JSON, after that of the section. */
  readonly key: string;
  readonly text: string;
  readonly values?: Readonly<Record<string, number>>;
  /** The text in place of the numbers: why they are missing. */
  readonly absent?: string;
}

/** Rows that have their columns in common. */
export interface Section {
  readonly key: string;
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

/** The width of the table. */
const WIDTH = 100;
/** The width of one column, with the blanks in front of it. */
const COLUMN = 11;

/** The lines of one section, the first with the headings. */
export function tableLines({ title, columns, rows }: Section): string[] {
  const room = WIDTH - COLUMN * columns.length;
  const line = (text: string, cells: string[]) =>
    (text.padEnd(room) + cells.map((cell) => cell.padStart(COLUMN)).join(""))
      .trimEnd();
  return [
    line(title, columns.map(({ heading }) => heading)),
    ...rows.map(({ text, values, absent }) =>
      values === undefined
        ? `  ${text.padEnd(room - 2)}  ${absent ?? "not measured"}`
        : line(
          `  ${text}`,
          columns.map(({ key, digits }) => number(values[key], digits)),
        )
    ),
  ];
}

/** A number with commas; nothing if there is none. */
function number(value: number | undefined, digits: number): string {
  if (value === undefined) return "";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** The rows by name: their numbers, or the reason why there are none. */
export function tableObject(
  sections: readonly Section[],
): Record<string, Record<string, number> | { absent: string }> {
  return Object.fromEntries(
    sections.flatMap((section) =>
      section.rows.map(({ key, values, absent }) => [
        `${section.key}.${key}`,
        values === undefined
          ? { absent: absent ?? "not measured" }
          : Object.fromEntries(
            section.columns.filter(({ key }) => values[key] !== undefined)
              .map(({ key }) => [key, Number(values[key].toPrecision(6))]),
          ),
      ])
    ),
  );
}

/**
 * Puts a table into a page, in place of the text of a block.
 *
 * @param name the word after the backquotes with which the block begins
 * @throws {Error} if the page has no such block
 */
export function withTable(page: string, name: string, table: string): string {
  const block = new RegExp(`^\`\`\`${name}\\n[^]*?^\`\`\`$`, "m");
  if (!block.test(page)) {
    throw new Error(`the page has no block \`\`\`${name}`);
  }
  return page.replace(block, () => `\`\`\`${name}\n${table}\n\`\`\``);
}
