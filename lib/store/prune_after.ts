/**
 * Pruning by the wrapper, after a deferred client has gone.
 *
 * @module
 */

import { HangCount } from "../system/hang_count.ts";
import { leaveConnection } from "../system/leave.ts";
import { isPruningDueLater } from "./bookmark.ts";
import type { Database } from "./prune.ts";

/**
 * Prunes for a second if that is still due. Another process may have pruned during
 * the dialogue, or the directory may hang. Another thread looks at the directory
 * first. The connection is left before this thread makes a call that may hang.
 *
 * @param limit how long the look at the directory may take, in milliseconds
 * @throws {Error} why not all forgotten entries were removed
 */
export async function pruneAfter(
  database: Database,
  limit: number,
): Promise<void> {
  const { baseDir, prune: { every } } = database;
  const gate = new HangCount(baseDir);
  if (gate.isHigh) return;
  const due = await gate.ask(isPruningDueLater(baseDir, every), {
    left: limit,
  });
  if (due?.value === false) return;
  leaveConnection();
  if (due === undefined) return;
  const { pruneSome } = await import("./prune.ts");
  pruneSome(database);
}
