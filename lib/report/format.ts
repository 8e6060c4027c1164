/**
 * Numbers, times and periods in the words of the report.
 *
 * @module
 */

/** `1,234,567`. */
export function amount(value: number): string {
  return value.toLocaleString("en-US");
}

/** The number of a pool's networks as text; the count stops at 1,000. */
export function networkCount(networks: number): string {
  return amount(networks) + (networks >= 1000 ? "+" : "");
}

/** `79.6 %`; empty if the whole is 0. */
export function share(part: number, whole: number): string {
  return whole === 0 ? "" : `${(100 * part / whole).toFixed(1)} %`;
}

/** `80 %`, for a sentence: 0 % is none and 100 % is all. */
export function roughly(part: number, whole: number): string {
  const percent = Math.round(100 * part / whole);
  if (percent === 0 && part > 0) return "less than 1 %";
  if (percent === 100 && part < whole) return "more than 99 %";
  return `${percent} %`;
}

/** `1 network`, `2,000 networks`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${amount(value)} ${value === 1 ? one : many}`;
}

/** The text with each number tied to its unit by a no-break space. */
export function tied(text: string): string {
  return text.replace(
    /\d (?:%|(?:d|h|min|s)\b)(?: \d+ (?:h|min|s)\b)?/g,
    (amount) => amount.replaceAll(" ", "\u00a0"),
  );
}

/** Seconds as `12 s`, `6 min 12 s`, `3 h 5 min` or `2 d 4 h`; `-` for null. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "-";
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]] as const;
  const first = Math.max(0, units.findIndex(([, size]) => seconds >= size));
  if (seconds < 1) return "0 s";
  const words: string[] = [];
  let rest = Math.floor(seconds);
  for (const [unit, size] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    if (count > 0) words.push(`${count} ${unit}`);
    rest -= count * size;
  }
  return words.join(" ");
}

/** Seconds since 1970 as local time, to the second: `2026-11-23 19:04:05`. */
export function timestamp(time: number): string {
  const date = new Date(time * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()];
  return `${day.map(two).join("-")} ${clock.map(two).join(":")}`;
}

/** {@linkcode timestamp} to the minute; empty for null. */
export function moment(time: number | null): string {
  return time === null ? "" : timestamp(time).slice(0, -3);
}
