// Runs alone: it measures memory.

import { assert, assertEquals } from "@std/assert";
import { growth } from "../harness/growth.ts";
import { e2e } from "../harness/need.ts";

/**
 * More than two garbage collectors vary by, that of the event loop and that of
 * the worker, in bytes: 100,000 sessions added 14 to 32 MB, and 300,000 added 21.
 */
const MOODS = 40e6;

/** How many clients come. */
const SESSIONS = Deno.env.get("CI") === "true" ? 100_000 : 10_000;

e2e(`serve growth: ${SESSIONS} sessions leave nothing behind`, {}, async () => {
  const { before, after } = await growth(SESSIONS);
  assert(after.descriptors <= before.descriptors);
  assertEquals(after.children, 0);
  const grown = after.memory - before.memory;
  assert(grown < MOODS, `${grown} bytes`);
});
