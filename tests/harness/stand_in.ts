/**
 * What differs if the tests run stand-ins in place of compiled binaries; see
 * lib/build/stand_in.ts.
 *
 * @module
 */

import { usesStandIns } from "../../lib/build/stand_in.ts";

/** An expression for configuration modules: whether they run in the binary. */
export function inBinary(): string {
  return usesStandIns()
    ? 'Deno.mainModule.endsWith("/boot.js")'
    : "Deno.build.standalone";
}

/** Why a test of the descriptor limit cannot run here, undefined if it can. */
export function raisesLimit(): string | undefined {
  return usesStandIns()
    ? "deno run raises the limit of descriptors, a binary does not"
    : undefined;
}
