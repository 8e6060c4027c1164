/**
 * The configuration as `deno task compile` resolved it. To resolve it again would
 * cost a connection one or two percent of a start, and more with many networks.
 *
 * @module
 */

import type { ResolvedConfig } from "../config.ts";
import { defaultMessage } from "../smtp/refusal.ts";

/** What the configuration module exports. */
export interface ConfigModule {
  readonly default: unknown;
  /** Only in a program that `deno task compile` made. */
  readonly compiled?: Compiled;
}

/** What was found at compile time. */
export interface Compiled {
  /** The configuration as JSON, which leaves its functions out. */
  readonly raw: string;
  /** The same resolved; its message function is for {@linkcode resolve}. */
  readonly resolved: Omit<ResolvedConfig, "deferral"> & {
    readonly deferral: Omit<ResolvedConfig["deferral"], "message">;
  };
}

/**
 * Resolves the configuration. The module is code, so its values may differ from
 * those at compile time. If they do, the whole configuration is checked again.
 *
 * @throws {ConfigError} see `resolveConfig`
 */
export async function resolve(
  { default: raw, compiled }: ConfigModule,
): Promise<ResolvedConfig> {
  if (compiled !== undefined && compiled.raw === asJson(raw)) {
    const { deferral } = raw as { deferral?: { message?: Message } };
    const message = deferral?.message ?? defaultMessage;
    const { resolved } = compiled;
    return { ...resolved, deferral: { ...resolved.deferral, message } };
  }
  const { resolveConfig } = await import("./resolve.ts");
  return resolveConfig(raw);
}

type Message = ResolvedConfig["deferral"]["message"];

function asJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    // JSON.stringify throws on a cycle or a bigint. The compiled configuration has
    // neither, so this is another one.
    return undefined;
  }
}
