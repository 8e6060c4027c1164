/**
 * Tests that have to pass both if a super-server starts the program for each
 * connection and if the program listens by itself.
 *
 * @module
 */

import { e2e, type Needs } from "./need.ts";
import { serve, tcpserver, type WayIn } from "./way_in.ts";

/**
 * Registers a test twice.
 *
 * @param needs besides what each of the two needs
 */
export function bothWays(
  name: string,
  needs: Needs,
  run: (way: WayIn, t: Deno.TestContext) => Promise<void>,
): void {
  for (const way of [tcpserver, serve]) {
    e2e(`${way.name}: ${name}`, {
      ...needs,
      programs: [...way.programs, ...needs.programs ?? []],
    }, (t) => run(way, t));
  }
}
