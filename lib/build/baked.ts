/**
 * The module that a compiled program has in place of the configuration module: it
 * exports the configuration, and the same as resolved at compile time.
 *
 * @module
 */

import type { Compiled } from "../config/compiled.ts";
import type { ResolvedConfig } from "../config.ts";

/** The parts of a configuration that are stored in a compiled program. */
export function bakedConfig(raw: unknown, config: ResolvedConfig): Compiled {
  const { message: _, ...deferral } = config.deferral;
  return { raw: JSON.stringify(raw), resolved: { ...config, deferral } };
}

/**
 * Makes the text of the module.
 *
 * @param file the configuration module
 * @param raw what it exports as default
 * @param config the same resolved
 */
export function bakedModule(
  file: URL,
  raw: unknown,
  config: ResolvedConfig,
): string {
  return `export { default } from ${JSON.stringify(file.href)};\n` +
    `export const compiled = ${literal(bakedConfig(raw, config))};\n`;
}

/** A value as an expression. */
function literal(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value)
      .map(([key, field]) => `${JSON.stringify(key)}: ${literal(field)}`);
    return `{ ${fields.join(", ")} }`;
  }
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`no literal: ${String(value)}`);
  return text;
}
