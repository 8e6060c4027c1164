/**
 * The last part of a build: makes a program of a configuration that was checked.
 *
 * Most of the work is the same for every configuration. `deno task compile` does
 * all of it; the tests, which need a hundred programs, keep the common part.
 *
 * @module
 */

import { copy } from "@std/fs/copy";
import { exists } from "@std/fs/exists";
import { join } from "@std/path";
import { makeBinary } from "./binary.ts";
import { BOOT, bundleConfig, bundleProgram, usesBytecode } from "./bundle.ts";
import { makeBytecode, makeTrainer, TRAINER } from "./bytecode.ts";
import type { Loaded } from "./configuration.ts";
import { originOf } from "./denort.ts";
import { permissionFlags } from "./permissions.ts";
import { chosenStd } from "./std.ts";

/** The directories and options of a build. */
export interface BuildContext {
  /** An existing directory for files of one build. */
  readonly scratch: string;
  /**
   * An existing directory for the parts that are the same for every configuration.
   * A part that is there already is not made again.
   */
  readonly shared: string;
  /** The options of `deno bundle` that say where @std is. */
  readonly flags: readonly string[];
  /** How a binary is made of modules: {@linkcode makeBinary}, if not given. */
  readonly make?: typeof makeBinary;
  /** Whether the bytecode is tried; it is, if not given. */
  readonly triesBytecode?: boolean;
}

/**
 * Makes a program.
 *
 * @param output an existing file there is written to
 * @throws {BadConfig} if the configuration uses import.meta
 * @throws {TemporaryError} with what Deno says
 */
export async function makeProgram(
  { name, baked: text, at, needs: { permissions, v8Flags } }: Loaded,
  { scratch, shared, flags, make = makeBinary, triesBytecode }: BuildContext,
  output: string,
): Promise<void> {
  const program = await once(
    join(shared, "program"),
    (directory) => bundleProgram(directory, flags),
  );
  const bundle = join(scratch, "bundle");
  await copy(program, bundle);
  const baked = join(scratch, "baked.ts");
  await Deno.writeTextFile(baked, text);
  const script = await bundleConfig(baked, name, bundle, flags);
  if (usesBytecode(Deno.version.deno)) {
    const trainer = await once(
      join(shared, `trainer${v8Flags.replace(/\W+/g, "-")}`),
      (directory) => makeTrainer(program, v8Flags, directory, shared, make),
    );
    await makeBytecode(
      script,
      at,
      bundle,
      scratch,
      join(trainer, TRAINER),
      triesBytecode,
    );
  }
  const std = chosenStd() === "npm" ? "npm" : "JSR";
  // Not before there is a trainer: making that may have fetched the runtime.
  const { name: runtime, sha256 } = await originOf(shared);
  await Deno.writeTextFile(
    join(bundle, "lib/built.json"),
    JSON.stringify({ std, runtime, sha256 }),
  );
  await make(
    {
      module: join(bundle, BOOT),
      include: [bundle],
      v8Flags,
      permissions: permissionFlags(permissions),
    },
    output,
    shared,
  );
}

/**
 * Makes a directory, unless it is there already.
 *
 * @returns its path
 */
async function once(
  path: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  if (await exists(path)) return path;
  const fresh = `${path}.${Deno.pid}`;
  await Deno.mkdir(fresh);
  await make(fresh);
  try {
    await Deno.rename(fresh, path);
  } catch (error) {
    // Another build was faster.
    if (!(await exists(path))) throw error;
    await Deno.remove(fresh, { recursive: true });
  }
  return path;
}
