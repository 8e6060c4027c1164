/**
 * Opens the C library before any test does: it stays open for good, which would
 * count as a leak of the test that happens to be the first to use it.
 *
 * @module
 */

import { close, peerOf, poll, sendDatagram, touch } from "../../lib/libc.ts";
import { abiOf } from "../../lib/serve/abi.ts";
import { descriptorLimit } from "../../lib/serve/descriptors.ts";
import { endSending } from "../../lib/serve/kernel.ts";
import { Spawner } from "../../lib/serve/spawn.ts";
import { userId } from "../../lib/user.ts";

for (
  const call of [
    () => poll(-1, 0, 0),
    () => close(-1),
    () => touch(-1),
    () => peerOf(-1),
    () => sendDatagram("/nonexistent/socket", new Uint8Array(1)),
    () => endSending(-1),
    () => descriptorLimit(),
    () => new Spawner(abiOf(Deno.build)!, ["true"]),
    () => userId(),
  ]
) {
  try {
    call();
  } catch {
    // It was called, and its error was worded.
  }
}
