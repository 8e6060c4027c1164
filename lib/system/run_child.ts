/**
 * A program as a child on the same descriptors, for a process that cannot become
 * that program: execve(2) waits for every thread that hangs in a call on a file.
 *
 * @module
 */

import { argumentStrings } from "./arguments.ts";
import { type ExitStatus, waitForExit } from "./child.ts";
import { environmentTable } from "./environment.ts";
import { leaveConnection } from "./leave.ts";
import { LibcError, pointerTable } from "./libc.ts";
import { posixSpawn } from "./posix_spawn.ts";
import { endAfter, keepExitStatuses, restoreSignals } from "./signals.ts";

/**
 * Runs a program, found on PATH as execvp(3) does, and waits for its end. The
 * program finds everything as after {@linkcode exec}, except that its process id and
 * its parent differ, and that SIGCHLD has its default action even if the super-server
 * ignored it.
 *
 * This process closes its side of the connection, so that the client sees the end
 * when the program closes its own. The alarm(2) of the check is taken back: the
 * program may run for longer.
 *
 * @param variables what the program finds in its environment besides what is
 * there already
 * @throws {LibcError} if the program could not be started
 */
export async function runChild(
  program: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<ExitStatus> {
  for (const [name, value] of Object.entries(variables)) {
    Deno.env.set(name, value);
  }
  const { block, addresses } = argumentStrings(program);
  const pid = new Uint8Array(4);
  keepExitStatuses();
  const undo = restoreSignals();
  // The program's name is the first of the strings.
  const code = posixSpawn().posix_spawnp(
    pid,
    block,
    null,
    null,
    pointerTable(addresses),
    environmentTable(),
  );
  undo();
  if (code !== 0) throw new LibcError("start", code);
  endAfter(0);
  try {
    leaveConnection();
  } catch {
    // The client then sees the end of the connection when this process ends too.
  }
  return await waitForExit(new DataView(pid.buffer).getInt32(0, true));
}
