/**
 * Makes a binary, or its stand-in (stand_in.ts), for a test or a measurement, in a
 * process of its own, since a configuration module is run for that: `maker.ts
 * CONFIG OUTPUT SHARED`.
 *
 * It leaves out the three steps of `deno task compile` that only find faults: the
 * type check and the rehearsal of the configuration, and the trial of the bytecode
 * (bytecode.ts). The binary is the same.
 *
 * @module
 */

import { toFileUrl } from "@std/path";
import { loadConfig } from "./configuration.ts";
import { makeProgram } from "./program.ts";
import { chosenStd, stdFlags } from "./std.ts";
import { makeStandIn, usesStandIns } from "./stand_in.ts";

const [config, output, shared] = Deno.args;
const scratch = await Deno.makeTempDir({ prefix: "greylist-" });
try {
  const flags = await stdFlags(chosenStd(), scratch);
  const loaded = await loadConfig(toFileUrl(config), config);
  const make = usesStandIns() ? makeStandIn : undefined;
  const context = { scratch, shared, flags, make, triesBytecode: false };
  await makeProgram(loaded, context, output);
} finally {
  await Deno.remove(scratch, { recursive: true });
}
