/**
 * What stands in for a compiled binary on a Deno whose denort cannot be had: the
 * same modules and the same bytecode, run by `deno run` with the binary's own
 * permissions and V8 flags. With GREYLIST_STAND_IN=1 in the environment all tests
 * use it, and maker.ts makes it.
 *
 * Three things differ. One permission more is needed: to read the modules, which a
 * binary has in itself. `deno run` raises the limit of descriptors, which a binary
 * leaves as it is. And without DENO_DISABLE_NODE_SHIM in the environment `deno
 * run` puts a directory with a `node` of its own on PATH (denoland/deno#34969).
 *
 * @module
 */

import { copy } from "@std/fs/copy";
import { dirname } from "@std/path";
import { TemporaryError } from "../commands/command.ts";
import type { BinaryOptions } from "./binary.ts";

/** The variable that asks for it. */
export const STAND_IN_VARIABLE = "GREYLIST_STAND_IN";

/** Whether the tests run stand-ins. */
export function usesStandIns(): boolean {
  return Deno.env.get(STAND_IN_VARIABLE) === "1";
}

/**
 * Makes a stand-in: a program in C that becomes Deno, since a shell would add to
 * the environment.
 *
 * @param output lies in a directory of its own
 */
export async function makeStandIn(
  { module, v8Flags, permissions }: BinaryOptions,
  output: string,
): Promise<void> {
  const modules = `${output}.modules`;
  await copy(dirname(module), modules, { overwrite: true });
  await place(`${dirname(output)}/deno`);
  const read = permissions.map((flag) =>
    flag.startsWith("--allow-read=") ? `${flag},${OWN}.modules` : flag
  );
  const command = [
    ...["run", "--quiet", "--no-config", "--no-lock", "--no-check"],
    ...["--no-code-cache", "--no-prompt", "--no-remote", "--no-npm"],
    `--v8-flags=${v8Flags}`,
    ...read,
    "--deny-import",
    `${OWN}.modules/${module.slice(dirname(module).length + 1)}`,
  ];
  const source = `${output}.c`;
  await Deno.writeTextFile(source, launcher(command));
  const { success, stderr } = await new Deno.Command("gcc", {
    args: ["-o", output, source],
    stdin: "null",
  }).output();
  if (success) return;
  throw new TemporaryError(`gcc: ${new TextDecoder().decode(stderr)}`);
}

/**
 * Deno under a name of this stand-in's own, which /proc shows as the executable and
 * every user can reach.
 */
async function place(runtime: string): Promise<void> {
  try {
    await Deno.link(Deno.execPath(), runtime);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    await Deno.copyFile(Deno.execPath(), runtime);
  }
}

/** Stands for the path of the stand-in, which is moved when it is complete. */
const OWN = "\x01";

function launcher(command: readonly string[]): string {
  const words = command.map((word) => {
    const [before, ...parts] = word.split(OWN);
    const after = parts.map((part) => `own(${JSON.stringify(part)})`);
    const text = JSON.stringify(before);
    return after.length === 0 ? text : `join(${text}, ${after})`;
  });
  return `#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char self[4096];
static char *join(const char *a, const char *b)
{
  char *all;
  return asprintf(&all, "%s%s", a, b) < 0 ? NULL : all;
}
static char *own(const char *after) { return join(self, after); }
int main(int argc, char **argv)
{
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 111;
  setenv("DENO_DISABLE_NODE_SHIM", "1", 1);
  char *runtime = strdup(self);
  strcpy(strrchr(runtime, '/'), "/deno");
  char *command[] = {runtime, ${words.join(", ")}};
  enum { N = sizeof command / sizeof *command };
  char *all[N + argc];
  memcpy(all, command, sizeof command);
  memcpy(all + N, argv + 1, argc * sizeof *argv);
  execv(runtime, all);
  return 111;
}
`;
}
