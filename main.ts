/**
 * greylist: looks at one small file, then becomes qmail-smtpd or defers.
 *
 * @module
 */

import { isCommand } from "./lib/commands/names.ts";
import type { ConfigModule } from "./lib/compiled.ts";
import { EXIT } from "./lib/exit.ts";
import { reachesClient } from "./lib/log.ts";
import { wrap } from "./lib/wrapper.ts";

/** The configuration module, loaded where a fault in it can be reported. */
function load(): Promise<ConfigModule> {
  return import("./greylist.config.ts");
}

/**
 * Runs one command line.
 *
 * @returns the exit code
 */
async function main(args: string[]): Promise<number> {
  const name = args[0]?.replace(/^--(help|version)$/, "$1");
  // A super-server's line without PROGRAM must not show usage to a client.
  if (name === undefined && reachesClient(2)) return wrap([], load);
  if (name === undefined || isCommand(name)) {
    const { runCommand } = await import("./lib/commands/mod.ts");
    return runCommand(name, args.slice(1), async () => (await load()).default);
  }
  return wrap(name === "--" ? args.slice(1) : args, load);
}

let code: number;
try {
  code = await main(Deno.args);
} catch (error) {
  // Not even the C library can be used. A stack trace is for nobody.
  code = EXIT.temporary;
  const message = error instanceof Error ? error.message : String(error);
  if (!reachesClient(2)) console.error(`greylist: ${message}`);
}
// Falling off the end instead costs a millisecond of winding up.
Deno.exit(code);
