/**
 * Makes one binary of one module: its permissions, the options of V8, the files
 * that lie in it.
 *
 * @module
 */

import { TemporaryError } from "../commands/command.ts";
import { resolveConfig } from "../config/resolve.ts";
import { resolveServe } from "../serve/config.ts";
import { V8_LINEAR } from "../whitelist/expression.ts";
import { deno } from "./deno.ts";
import { readReason } from "./deno_message.ts";
import { cachedDenort, fetchDenort, lacksDenort } from "./denort.ts";
import { type Permissions, permissionsOf } from "./permissions.ts";

/** What a configuration needs of a binary. */
export interface Needs {
  readonly permissions: Permissions;
  /** V8's options, separated by commas. */
  readonly v8Flags: string;
}

/**
 * What a configuration needs of a binary.
 *
 * V8 gets one thread instead of three, and neither compiler nor its
 * reservations, which a program that lives for milliseconds cannot use.
 * (--jitless alone is 7 % faster at listing a database, and takes 130 MB for a
 * million entries instead of 80.)
 *
 * A binary that is configured to `serve` has the compilers: without them `serve`
 * takes nearly half as long again for a deferred client. Its objects for a client
 * are garbage after milliseconds. So V8 gets 1 MB for young objects instead of 16,
 * and collects more often, which takes less time in all and never 15 ms at once.
 * With 2 MB it is as fast, and takes 2 MB more for 1,000 clients. Maglev, the
 * compiler before TurboFan, is left out: it takes more time than its code saves. A
 * deferred client takes a tenth less processor time without it, and 1,000 clients
 * take 1 to 2 MB less. (Without TurboFan they take 4 MB less, and a client a tenth
 * more time.)
 *
 * @param raw the default export of the configuration module
 * @throws {ConfigError}
 */
export function needsOf(raw: unknown): Needs {
  const serve = resolveServe(raw);
  const permissions = permissionsOf(resolveConfig(raw), serve);
  const v8Flags = [
    "--single-threaded",
    ...serve.configured
      ? ["--max-semi-space-size=1", "--no-maglev"]
      : ["--lite-mode"],
    V8_LINEAR,
  ].join();
  return { permissions, v8Flags };
}

/** The module and the options of a binary. */
export interface BinaryOptions {
  /** The module that the binary runs. */
  readonly module: string;
  /** Files and directories that lie in the binary besides. */
  readonly include?: readonly string[];
  /** See {@linkcode Needs}. */
  readonly v8Flags: string;
  /** The options of `deno compile` for its permissions. */
  readonly permissions: readonly string[];
}

/**
 * Makes a binary, with denort from Deno's download host or from npm.
 *
 * @param scratch an existing directory to put denort in, and all that Deno writes to
 * the temporary directory: an interrupt removes it with scratch
 * @throws {TemporaryError} with Deno's message
 */
export async function makeBinary(
  { module, include = [], v8Flags, permissions }: BinaryOptions,
  output: string,
  scratch: string,
): Promise<void> {
  const args = [
    "compile",
    // It is the binary's as well: else Deno's resolver writes warnings to standard
    // error, from the thread of the event loop, about packets that anybody can send.
    "--quiet",
    // Deno reads and embeds only the files that are named here.
    "--no-config",
    "--no-lock",
    "--no-check",
    // Deno's code cache is a file in the temporary directory, where any user may
    // put one.
    "--no-code-cache",
    "--no-prompt",
    ...v8Flags === "" ? [] : [`--v8-flags=${v8Flags}`],
    ...permissions,
    // Deno's default allows imports from half a dozen hosts. The binary has all of
    // its modules.
    "--deny-import",
    ...include.map((path) => `--include=${path}`),
    `--output=${output}`,
    module,
  ];
  const own = Deno.env.has("DENORT_BIN");
  const cached = own ? undefined : await cachedDenort(scratch);
  const env = { TMPDIR: scratch };
  const first = await deno(
    args,
    cached ? { ...env, DENORT_BIN: cached } : env,
  );
  if (first.success) return;
  if (own || cached || !lacksDenort(first.output)) {
    throw new TemporaryError(`deno compile failed:\n${first.output.trimEnd()}`);
  }
  const reason = readReason(first.output) ?? "deno compile failed";
  const fetched = await fetchDenort(scratch, reason);
  const second = await deno(args, { ...env, DENORT_BIN: fetched });
  if (second.success) return;
  throw new TemporaryError(`deno compile failed:\n${second.output.trimEnd()}`);
}

/** The error if a program in the scratch directory may not be executed. */
export function notRun(program: string): TemporaryError {
  return new TemporaryError(
    `${program} cannot be executed: expected a temporary directory that is not ` +
      "mounted noexec: TMPDIR names another one",
  );
}
