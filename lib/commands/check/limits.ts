/**
 * `greylist check`: limits of the process, and what `serve` needs.
 *
 * @module
 */

import type { ServeConfig } from "../../serve/config.ts";
import { descriptorsFor } from "../../serve/descriptors.ts";
import { descriptorLimit, memoryLimits } from "../../system/resource_limit.ts";
import { findGroup, findUser } from "../../system/user.ts";
import { type Finding, fix, ok } from "./finding.ts";

/** The least limits under which the program starts, in bytes, as measured. */
const NEEDED = {
  addressSpace: 75_000_000_000n,
  data: 40_000_000n,
  /** For a binary with V8's compilers: one whose configuration has `serve`. */
  dataToCompile: 600_000_000n,
  /**
   * For such a binary as `serve`, whose threads have heaps of their own: its first
   * thread, one for the store and one that prunes, with 140 MB to spare.
   */
  dataToServe: 1_800_000_000n,
};

/** The least limits of memory under which V8 can start, in bytes. */
export interface Needed {
  readonly addressSpace: bigint;
  readonly data: bigint;
}

/**
 * The least limits for a binary.
 *
 * @param compiles whether the binary has V8's compilers
 * @param serves whether it is to run as `serve`
 */
export function neededBy(compiles: boolean, serves: boolean): Needed {
  const data = serves
    ? NEEDED.dataToServe
    : compiles
    ? NEEDED.dataToCompile
    : NEEDED.data;
  return { addressSpace: NEEDED.addressSpace, data };
}

/** Whether V8 can start under the limits of this process. */
export function memory(needed: Needed): Finding[] {
  const { addressSpace, data } = memoryLimits();
  const findings: Finding[] = [];
  if (addressSpace !== undefined && addressSpace < needed.addressSpace) {
    findings.push(
      fix(
        `address space is limited to ${addressSpace} bytes: put softlimit -m ` +
          "or -a after greylist, not before it",
      ),
    );
  }
  if (data !== undefined && data < needed.data) {
    findings.push(
      fix(
        `data is limited to ${data} bytes: softlimit -d ${needed.data} or ` +
          "more before greylist",
      ),
    );
  }
  return findings.length > 0 ? findings : [ok("memory limits")];
}

/** The needs of `serve`: user, group and descriptors. Only if `user` is set. */
export function listener({ user, group, ...limits }: ServeConfig): Finding[] {
  if (user === undefined) return [];
  if (findUser(user) === undefined) {
    return [fix(`serve.user ${user}: expected the name of a user`)];
  }
  if (group !== undefined && findGroup(group) === undefined) {
    return [fix(`serve.group ${group}: expected the name of a group`)];
  }
  const wanted = descriptorsFor(limits);
  const { hard } = descriptorLimit();
  if (hard >= wanted) return [ok(`serve becomes ${user}`)];
  return [
    fix(
      `serve.limit and serve.deferredLimit need ${wanted} descriptors, and ` +
        `there may be ${hard}: raise LimitNOFILE=, softlimit -o or ulimit -Hn`,
    ),
  ];
}
