/**
 * Resource limits of this process: getrlimit(2).
 *
 * @module
 */

import { C } from "./constants.ts";
import { check, fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int getrlimit(int resource, struct rlimit *rlim);
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  // int setrlimit(int resource, const struct rlimit *rlim);
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
});

/** A struct rlimit. */
export interface Limit {
  /** What the kernel enforces; any process may raise it to the hard limit. */
  readonly soft: bigint;
  readonly hard: bigint;
}

/** RLIM_INFINITY. */
const UNLIMITED = 0xffff_ffff_ffff_ffffn;

function limitOf(resource: number): Limit {
  const values = new BigUint64Array(2);
  const bytes = new Uint8Array(values.buffer);
  check("getrlimit", libc().getrlimit(resource, bytes));
  return { soft: values[0], hard: values[1] };
}

/**
 * How many descriptors this process may have.
 *
 * @throws {LibcError}
 */
export function descriptorLimit(): Limit {
  return limitOf(C.RLIMIT_NOFILE);
}

/**
 * Sets how many descriptors this process may have.
 *
 * @throws {LibcError} if the hard limit would have to be raised
 */
export function setDescriptorLimit({ soft, hard }: Limit): void {
  const bytes = new Uint8Array(BigUint64Array.of(soft, hard).buffer);
  check("setrlimit", libc().setrlimit(C.RLIMIT_NOFILE, bytes));
}

/** The limit with its soft limit raised as far as wanted and as allowed. */
export function raised({ soft, hard }: Limit, wanted: bigint): Limit {
  const most = wanted < hard ? wanted : hard;
  return { soft: soft > most ? soft : most, hard };
}

/**
 * The limits on memory, in bytes; undefined if there is none.
 *
 * @throws {LibcError}
 */
export function memoryLimits(): { data?: bigint; addressSpace?: bigint } {
  return {
    data: softLimitOf(C.RLIMIT_DATA),
    addressSpace: softLimitOf(C.RLIMIT_AS),
  };
}

function softLimitOf(resource: number): bigint | undefined {
  const { soft } = limitOf(resource);
  return soft === UNLIMITED ? undefined : soft;
}
