/**
 * greylist: looks at one small file, then becomes qmail-smtpd or defers the client.
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
 * @param load imports the configuration module; an error that it throws is
 * reported
 * @returns the exit code
 */
export async function main(
  args: readonly string[],
  load: () => Promise<ConfigModule>,
): Promise<number> {
  try {
    let [name] = args;
    if (name === "--help" || name === "--version") name = name.slice(2);
    // If a super-server's command line lacks PROGRAM, the client must not see usage.
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
    // For example the C library cannot be loaded. Then reachesClient says true, and
    // only a terminal tells that no client reads this.
    if (Deno.stderr.isTerminal() || !reachesClient(2)) {
      console.error(`greylist: ${reasonOf(error)}`);
    }
    return EXIT.temporary;
  }
}

if (import.meta.main) {
  const load = () => import("./greylist.config.ts");
  // Without Deno.exit the runtime takes 1 ms to shut down.
  Deno.exit(await main(Deno.args, load));
}
