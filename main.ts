/**
 * greylist: looks at one small file, then becomes qmail-smtpd or defers.
 *
 * @module
 */

import { isCommand } from "./lib/commands/names.ts";
import type { ConfigModule } from "./lib/config/compiled.ts";
import { EXIT } from "./lib/exit.ts";
import { reachesClient } from "./lib/log/client_socket.ts";
import { reasonOf } from "./lib/reason.ts";
import { wrap } from "./lib/wrapper.ts";

/**
 * Runs one command line. Never throws.
 *
 * @param load gives the configuration module; it may throw, which is reported
 * @returns the exit code
 */
export async function main(
  args: readonly string[],
  load: () => Promise<ConfigModule>,
): Promise<number> {
  try {
    let [name] = args;
    if (name === "--help" || name === "--version") name = name.slice(2);
    // A super-server's line without PROGRAM must not show usage to a client.
    if (name === undefined && reachesClient(2)) return await wrap([], load);
    if (name === undefined || isCommand(name)) {
      const { runCommand } = await import("./lib/commands/mod.ts");
      return await runCommand(
        name,
        args.slice(1),
        async () => (await load()).default,
      );
    }
    // No client connects through a terminal.
    if (name !== "--" && Deno.stdin.isTerminal()) {
      const { refuseUnknown } = await import("./lib/commands/mod.ts");
      const code = refuseUnknown(name);
      if (code !== undefined) return code;
    }
    return await wrap(name === "--" ? args.slice(1) : args, load);
  } catch (error) {
    // Not even the C library can be used. A stack trace would help nobody.
    if (!reachesClient(2)) console.error(`greylist: ${reasonOf(error)}`);
    return EXIT.temporary;
  }
}

if (import.meta.main) {
  const load = () => import("./greylist.config.ts");
  // Without this the runtime takes 1 ms to shut down.
  Deno.exit(await main(Deno.args, load));
}
