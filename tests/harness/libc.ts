/**
 * Opens the C library before any test does: it stays open for good, which would
 * count as a leak of the test that happens to be the first to use it.
 *
 * @module
 */

import { close } from "../../lib/descriptor.ts";
import { LibcError } from "../../lib/libc.ts";
import { endAfter } from "../../lib/process.ts";
import { abiOf } from "../../lib/serve/abi.ts";
import { descriptorLimit } from "../../lib/serve/descriptors.ts";
import { canWatch } from "../../lib/serve/end.ts";
import { endSending } from "../../lib/serve/kernel.ts";
import { Spawner } from "../../lib/serve/spawn.ts";
import { shutdownWriting } from "../../lib/socket.ts";
import { stateOf } from "../../lib/statx.ts";
import { userId } from "../../lib/user.ts";

close(-1);
endAfter(0);
new LibcError("none", 0);
shutdownWriting(-1);
endSending(-1);
descriptorLimit();
canWatch();
new Spawner(abiOf(Deno.build)!, ["true"]);
stateOf("/", 0);
userId();
