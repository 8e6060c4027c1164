// Runs alone: it measures memory.

import { assert, assertEquals } from "@std/assert";
import { growth } from "../harness/growth.ts";
import { e2e } from "../harness/need.ts";

/** More than the moods of a garbage collector, in bytes. */
const MOODS = 24e6;

e2e("serve growth: 2000 sessions leave nothing behind", {}, async () => {
  const { before, after } = await growth(2000);
  assertEquals(after.descriptors, before.descriptors);
  assertEquals(after.children, 0);
  const grown = after.memory - before.memory;
  assert(grown < MOODS, `${grown} bytes`);
});
