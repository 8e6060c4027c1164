/**
 * Loads a configuration module in this process, for `loadApart` in
 * configuration.ts: `loader.ts URL NAME REPORT`. REPORT is the file that it writes.
 *
 * @module
 */

import { BadConfig, loadConfig, MOMENT, type Report } from "./configuration.ts";

const [file, name, report] = Deno.args;
const { exit } = Deno;
// A module that ends the process would pass for one that was checked.
Object.assign(Deno, {
  exit: () => {
    throw new Error("calls Deno.exit: expected a module that only exports");
  },
});
let text: Report;
try {
  text = { loaded: await loadConfig(new URL(file), name) };
} catch (error) {
  if (!(error instanceof BadConfig)) throw error;
  text = { fault: error.message };
}
await new Promise((done) => setTimeout(done, MOMENT));
await Deno.writeTextFile(report, JSON.stringify(text));
exit(0);
