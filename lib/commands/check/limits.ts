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
};

/**
 * Whether V8 can start under the limits of this process.
 *
 * @param compiles whether the binary has V8's compilers
 */
export function memory(compiles: boolean): Finding[] {
  const { addressSpace, data } = memoryLimits();
  const needed = compiles ? NEEDED.dataToCompile : NEEDED.data;
  const findings: Finding[] = [];
  if (addressSpace !== undefined && addressSpace < NEEDED.addressSpace) {
    findings.push(
      fix(
        `address space is limited to ${addressSpace} bytes: put softlimit -m ` +
          "or -a after greylist, not before it",
      ),
    );
  }
  if (data !== undefined && data < needed) {
    findings.push(
      fix(
        `data is limited to ${data} bytes: softlimit -d ${needed} or ` +
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
