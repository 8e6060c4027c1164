/**
 * Opens the C library before any test does. The library stays open, which would
 * count as a leak of the first test that uses it.
 *
 * @module
 */

import { enterNetwork } from "../../lib/build/hosts/network.ts";
import { mayAccess } from "../../lib/system/access.ts";
import { readRegularFileLater } from "../../lib/system/background_file.ts";
import { canWatchChildren } from "../../lib/system/child.ts";
import { C } from "../../lib/system/constants.ts";
import { setMode } from "../../lib/system/create.ts";
import { close } from "../../lib/system/descriptor.ts";
import { Directory } from "../../lib/system/directory.ts";
import { Epoll } from "../../lib/system/epoll.ts";
import { setMtime } from "../../lib/system/file.ts";
import { stamp } from "../../lib/system/file_call.ts";
import { runLater } from "../../lib/system/file_task.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { accept } from "../../lib/system/listener.ts";
import { returnFreeMemory } from "../../lib/system/memory.ts";
import { memoryFile } from "../../lib/system/memory_file.ts";
import { monotonicMicroseconds } from "../../lib/system/monotonic.ts";
import { replaceFile } from "../../lib/system/replace_file.ts";
import { descriptorLimit } from "../../lib/system/resource_limit.ts";
import { Semaphores } from "../../lib/system/semaphore.ts";
import { isListening, openSocket, peerOf } from "../../lib/system/socket.ts";
import { ChildProgram } from "../../lib/system/spawn.ts";
import { fileSystemOf } from "../../lib/system/statfs.ts";
import { receive } from "../../lib/system/transfer.ts";
import { groupId } from "../../lib/system/user.ts";

close(-1);
for (const call of [() => setMtime(-1, 0), () => setMode(-1, 0)]) {
  try {
    call();
  } catch {
    // The call fails, but the library is open now.
  }
}
try {
  await stamp(-1, 0).later();
} catch {
  // Likewise.
}
const dir = Deno.makeTempDirSync({ prefix: "greylist-libc-" });
await runLater(
  replaceFile(`${dir}/file`, `${dir}/new`, 0o600, () => new Uint8Array()),
);
Deno.removeSync(dir, { recursive: true });
try {
  enterNetwork(Deno.pid)[Symbol.dispose]();
} catch {
  // Only root may.
}
const socket = openSocket(C.AF_INET, C.SOCK_STREAM);
peerOf(socket);
isListening(socket);
close(socket);
new LibcError("none", 0);
new Directory("/").close();
close(memoryFile("none"));
await returnFreeMemory();
await readRegularFileLater("/etc/passwd");
new Epoll();
accept(-1);
receive(-1);
mayAccess("/", "exist");
descriptorLimit();
canWatchChildren();
new ChildProgram(["true"]);
groupId();
fileSystemOf("/");
monotonicMicroseconds();
Semaphores.findOrMake("test: none", 1);
