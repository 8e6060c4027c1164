// Runs paired: it measures memory.

import { assert, assertEquals } from "@std/assert";
import { growth } from "../harness/growth.ts";
import { e2e } from "../harness/need.ts";

/** How many clients come. */
const SESSIONS = Deno.env.get("CI") === "true" ? 100_000 : 10_000;

/**
 * More than two garbage collectors vary by, that of the event loop and that of
 * the worker, in bytes: 10,000 sessions added 1 to 4 MB, 100,000 added 14 to 32,
 * and 300,000 added 21.
 */
const MOODS = SESSIONS === 10_000 ? 16e6 : 40e6;

e2e(`serve growth: ${SESSIONS} sessions leave nothing behind`, {}, async () => {
  const { before, after } = await growth(SESSIONS);
  assert(after.descriptors <= before.descriptors);
  assertEquals(after.children, 0);
  const grown = after.memory - before.memory;
  assert(grown < MOODS, `${grown} bytes`);
});
