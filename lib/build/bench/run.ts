/**
 * Runs a task that starts programs: a signal ends the programs, and an error is one
 * line.
 *
 * @module
 */

import { EXIT, UsageError } from "../../commands/command.ts";
import { SIGNALS } from "../signals.ts";
import { killAll } from "./process.ts";

/**
 * Runs the task and ends this process with its exit code.
 *
 * @param name the task, for messages
 * @param main gets the arguments, and a signal that is aborted if the user
 * interrupts the task
 */
export async function runMeasurement(
  name: string,
  main: (args: string[], signal: AbortSignal) => Promise<number>,
): Promise<never> {
  const stopping = new AbortController();
  let code: number = EXIT.done;
  for (const [signal, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(signal as Deno.Signal, () => {
      code = 128 + number;
      stopping.abort();
      killAll();
    });
  }
  try {
    code = await main(Deno.args, stopping.signal);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (!stopping.signal.aborted) {
      console.error(`greylist ${name}: ${error.message}`);
      code = error instanceof UsageError ? EXIT.wrong : EXIT.temporary;
    }
  }
  Deno.exit(code);
}
