/**
 * Reads the fields of an unchecked value. An error names the first wrong field,
 * its value and what is expected there.
 *
 * @module
 */

import { reasonOf } from "../reason.ts";

/**
 * Seconds as a number, or a number with a unit: `"90s"`, `"5m"`, `"24h"`, `"36d"`.
 * At most ten years, `"3650d"`.
 */
export type Duration = number | `${number}${"s" | "m" | "h" | "d"}`;

/** A configuration that cannot be used; the message is one line. */
export class ConfigError extends Error {
  override name = "ConfigError";

  constructor(field: string, value: unknown, expected: string) {
    super(`${field}: ${show(value)}: expected ${expected}`);
  }
}

const UNITS = { s: 1, m: 60, h: 3600, d: 86400 };

/**
 * Parses a duration.
 *
 * @returns seconds, or undefined if it is not a duration
 */
export function parseDuration(duration: unknown): number | undefined {
  if (typeof duration === "number") {
    return duration >= 0 && Number.isFinite(duration) ? duration : undefined;
  }
  if (typeof duration !== "string") return undefined;
  const match = /^(\d+(?:\.\d+)?)([smhd])$/.exec(duration);
  if (match === null) return undefined;
  return parseDuration(
    Number(match[1]) * UNITS[match[2] as keyof typeof UNITS],
  );
}

/** What is expected of a path. */
export const PATH = 'an absolute path such as "/var/qmail/greylist"';

const DURATION = 'seconds as a number, or a duration such as "90s", "5m", ' +
  '"24h" or "36d"';

/**
 * The longest duration of a field, in seconds. More is a mistake, and alarm(2),
 * which gets four times storeTimeout, takes no more than 2^32 - 1 seconds.
 */
const LONGEST = 3650 * 86400;

/** The value if it is an absolute path on one line, else undefined. */
export function asPath(value: unknown): string | undefined {
  // deno-lint-ignore no-control-regex
  const good = typeof value === "string" && /^\/[^\x00-\x1f\x7f]*$/.test(value);
  return good ? value : undefined;
}

/** One object of the configuration. Every reader throws {@linkcode ConfigError}. */
export class Section {
  readonly #name: string;
  readonly #fields: Record<string, unknown>;

  /**
   * @param name the field that holds the value; empty for the whole configuration
   * @param known the fields that the value may have
   * @throws {ConfigError} if the value is no object or has another field
   */
  constructor(name: string, value: unknown, known: readonly string[]) {
    if (!isPlain(value)) {
      throw new ConfigError(
        name || "default export",
        value,
        name ? "an object" : "what defineConfig({ ... }) returns",
      );
    }
    this.#name = name;
    this.#fields = value;
    for (const field of Object.keys(this.#fields)) {
      if (!known.includes(field)) {
        this.fail(field, `one of the fields ${known.join(", ")}`);
      }
    }
  }

  /** The field's value. The default counts only if the field is missing. */
  #get(field: string, byDefault?: unknown): unknown {
    let value: unknown;
    try {
      value = this.#fields[field];
    } catch (error) {
      throw new ConfigError(
        this.#full(field),
        error,
        "a value that can be read",
      );
    }
    return value === undefined ? byDefault : value;
  }

  #full(field: string): string {
    const name = /^[\w$]+$/.test(field) ? field : JSON.stringify(field);
    return this.#name ? `${this.#name}.${name}` : name;
  }

  /** Throws the error for a wrong field. */
  fail(field: string, expected: string): never {
    throw new ConfigError(this.#full(field), this.#get(field), expected);
  }

  /** An object in this one; empty if it is missing. */
  section(field: string, known: readonly string[]): Section {
    return new Section(this.#full(field), this.#get(field, {}), known);
  }

  /** An object in this one; undefined if it is missing. */
  optionalSection(
    field: string,
    known: readonly string[],
  ): Section | undefined {
    if (this.#get(field) === undefined) return undefined;
    return this.section(field, known);
  }

  /** An absolute path. */
  path(field: string, byDefault?: string): string {
    return asPath(this.#get(field, byDefault)) ?? this.fail(field, PATH);
  }

  /** A whole number within both limits. */
  integer(field: string, byDefault: number, least: number, most: number) {
    const value = this.#get(field, byDefault);
    const good = Number.isInteger(value) && (value as number) >= least &&
      (value as number) <= most;
    if (!good) this.fail(field, `a whole number from ${least} to ${most}`);
    return value as number;
  }

  /** `true` or `false`. */
  flag(field: string, byDefault: boolean): boolean {
    return this.choice(field, byDefault, [true, false]);
  }

  /** A duration of at least `least` seconds and at most ten years, in seconds. */
  duration(field: string, byDefault: Duration, least = 1): number {
    const seconds = parseDuration(this.#get(field, byDefault));
    if (seconds === undefined) this.fail(field, DURATION);
    if (seconds < least) this.fail(field, `at least ${least} seconds`);
    if (seconds > LONGEST) this.fail(field, 'at most ten years, "3650d"');
    return seconds;
  }

  /** One of a few words. */
  choice<T extends string | boolean>(
    field: string,
    byDefault: T,
    choices: readonly T[],
  ): T {
    const value = (this.#get(field, byDefault)) as T;
    if (choices.includes(value)) return value;
    this.fail(field, `one of ${choices.map(show).join(", ")}`);
  }

  /**
   * The result of `parse`, which returns undefined for a wrong value, or throws a
   * {@linkcode Fault}.
   */
  parsed<T>(
    field: string,
    byDefault: unknown,
    expected: string,
    parse: (value: unknown) => T | undefined,
  ): T {
    const value = this.#get(field, byDefault);
    return parsedAt(this.#full(field), value, expected, parse);
  }

  /** {@linkcode Section.parsed} for a field that may be missing. */
  optional<T>(
    field: string,
    expected: string,
    parse: (value: unknown) => T | undefined,
  ): T | undefined {
    if (this.#get(field) === undefined) return undefined;
    return this.parsed(field, undefined, expected, parse);
  }

  /** A list of objects. */
  sections(field: string, known: readonly string[]): Section[] {
    const value = this.#get(field, []);
    if (!Array.isArray(value)) this.fail(field, "a list of objects");
    return Array.from(
      value,
      (item, i) => new Section(`${this.#full(field)}[${i}]`, item, known),
    );
  }

  /** A list whose items are each the result of `parse`, as in {@linkcode Section.parsed}. */
  list<T>(
    field: string,
    expected: string,
    parse: (item: unknown) => T | undefined,
    byDefault: T[] = [],
  ): T[] {
    const value = this.#get(field, byDefault);
    if (!Array.isArray(value)) this.fail(field, `a list, each ${expected}`);
    return Array.from(
      value,
      (item, i) =>
        parsedAt(`${this.#full(field)}[${i}]`, item, expected, parse),
    );
  }
}

/** What is wrong with a value, to be said behind what is expected. */
export class Fault extends Error {}

/** @throws {ConfigError} if the value is wrong */
function parsedAt<T>(
  field: string,
  value: unknown,
  expected: string,
  parse: (value: unknown) => T | undefined,
): T {
  let fault = "";
  try {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    fault = `; ${error.message}`;
  }
  throw new ConfigError(field, value, expected + fault);
}

/** Whether a value is an object literal, not a Map, a Date or another class. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** A value as one short line, the way it stands in the configuration. */
function show(value: unknown): string {
  if (value === undefined) return "not given";
  if (typeof value === "function") return "a function";
  if (value instanceof Error) return `an error, ${show(reasonOf(value))}`;
  let text = typeof value === "object" ? "an object" : String(value);
  try {
    // JSON.stringify makes `{}` of a Promise, a Map and the like.
    if (value instanceof Object && !isPlain(value) && !Array.isArray(value)) {
      return `an instance of ${value.constructor.name || "a class"}`;
    }
    // JSON.stringify makes `null` of NaN, and throws on a cycle or a bigint.
    if (typeof value !== "number") text = JSON.stringify(value) ?? text;
  } catch {
    // A cycle, a bigint, a getter that throws: the text from String() is used.
  }
  return text.length > 80 ? text.slice(0, 77) + "..." : text;
}
