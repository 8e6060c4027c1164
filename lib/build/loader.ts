/**
 * Loads a configuration module in this process, for `loadApart` in
 * configuration.ts: `loader.ts URL NAME REPORT`. REPORT is the file that it writes.
 *
 * @module
 */

import { sleep } from "../system/sleep.ts";
import {
  BadConfig,
  loadConfig,
  type LoadOutcome,
  MOMENT,
} from "./configuration.ts";

const [file, name, path] = Deno.args;
const { exit } = Deno;
// A module that ends the process would pass for one that was checked.
Object.assign(Deno, {
  exit: () => {
    throw new Error("calls Deno.exit: expected a module that only exports");
  },
});
let outcome: LoadOutcome;
try {
  outcome = { loaded: await loadConfig(new URL(file), name) };
} catch (error) {
  if (!(error instanceof BadConfig)) throw error;
  outcome = { fault: error.message };
}
await sleep(MOMENT);
await Deno.writeTextFile(path, JSON.stringify(outcome));
exit(0);
