/**
 * How many descriptors `serve` may have: one for each client.
 *
 * @module
 */

import { lazily } from "./lazily.ts";
import { check, LIBC } from "./libc.ts";
import { C } from "./abi.ts";
import type { ServeConfig } from "../serve/config.ts";

const libc = lazily(() =>
  Deno.dlopen(LIBC, {
    // int getrlimit(int resource, struct rlimit *rlim);
    getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    // int setrlimit(int resource, const struct rlimit *rlim);
    setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  }).symbols
);

/** Descriptors that are not for clients: the log, the store, Deno's own. */
export const RESERVE = 64;

/**
 * How many descriptors are wanted: for all that may be deferred at once, one for
 * each program, as many again for clients that wait for one, and the reserve.
 */
export function descriptorsFor(
  { limit, deferredLimit }: Pick<ServeConfig, "limit" | "deferredLimit">,
): bigint {
  return BigInt(2 * limit + deferredLimit + 2 * RESERVE);
}

/** How many a process may have: RLIMIT_NOFILE of getrlimit(2). */
export interface DescriptorLimit {
  /** What counts, up to the hard one. */
  readonly soft: bigint;
  readonly hard: bigint;
}

/** @throws {LibcError} */
export function descriptorLimit(): DescriptorLimit {
  const values = new BigUint64Array(2);
  const bytes = new Uint8Array(values.buffer);
  check("getrlimit", libc().getrlimit(C.RLIMIT_NOFILE, bytes));
  return { soft: values[0], hard: values[1] };
}

/** @throws {LibcError} */
export function setDescriptorLimit({ soft, hard }: DescriptorLimit): void {
  const bytes = new Uint8Array(BigUint64Array.of(soft, hard).buffer);
  check("setrlimit", libc().setrlimit(C.RLIMIT_NOFILE, bytes));
}

/** The limit raised to what is wanted, as far as that goes. */
export function raised(
  { soft, hard }: DescriptorLimit,
  wanted: bigint,
): DescriptorLimit {
  const most = wanted < hard ? wanted : hard;
  return { soft: soft > most ? soft : most, hard };
}
