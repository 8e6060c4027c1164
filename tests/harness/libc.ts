/**
 * Opens the C library before any test does: it stays open for good, which would
 * count as a leak of the test that happens to be the first to use it.
 *
 * @module
 */

import { close, touch } from "../../lib/system/descriptor.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { abiOf } from "../../lib/system/abi.ts";
import { descriptorLimit } from "../../lib/system/descriptor_limit.ts";
import { canWatch } from "../../lib/serve/end.ts";
import { endSending } from "../../lib/system/kernel.ts";
import { Spawner } from "../../lib/system/spawn.ts";
import { peerOf } from "../../lib/system/socket.ts";
import { userId } from "../../lib/system/user.ts";

close(-1);
try {
  touch(-1);
} catch {
  // It is open now.
}
new LibcError("none", 0);
peerOf(-1);
endSending(-1);
descriptorLimit();
canWatch();
new Spawner(abiOf(Deno.build)!, ["true"]);
userId();
