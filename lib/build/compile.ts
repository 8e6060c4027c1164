/**
 * `deno task compile`: checks a configuration module, bundles main.ts with it and
 * makes one binary, with no more permissions than the configuration needs.
 *
 * @module
 */

import { ensureDir } from "@std/fs/ensure-dir";
import { exists } from "@std/fs/exists";
import { dirname, fromFileUrl, join, resolve, toFileUrl } from "@std/path";
import {
  EXIT,
  Output,
  parseOptions,
  print,
  tell,
  TemporaryError,
  UsageError,
} from "../commands/command.ts";
import { BadConfig, checkTypes, loadApart, rehearse } from "./configuration.ts";
import { makeBinary, notRun } from "./binary.ts";
import { HERE, originOf, untried } from "./denort.ts";
import { describePermissions } from "./permissions.ts";
import { makeProgram } from "./program.ts";
import { endOnSignals } from "./signals.ts";
import { isFile, outputError, statIfThere } from "./output.ts";
import { chosenStd, ROOT, stdFlags } from "./std.ts";

const HELP = `NAME
  deno task compile - build greylist with its configuration

SYNOPSIS
  deno task compile [--config=FILE] [--output=FILE]

DESCRIPTION
  Checks the configuration, builds the binary and prints what it may touch.

OPTIONS
  --config=FILE  the configuration module; otherwise greylist.config.ts
  --output=FILE  the binary; otherwise dist/greylist
  --help         this text

ENVIRONMENT
  DENORT_BIN    the runtime of the binary, in place of a download
  GREYLIST_STD  jsr: @std comes from JSR, or there is no binary
                npm: it comes from npm, and JSR is not asked

EXIT STATUS
  0    done
  100  the configuration or the command line is wrong
  111  something else failed, such as a download; the old binary stays
  129, 130, 143
       SIGHUP, SIGINT or SIGTERM ended it; the old binary stays
`;

/** The configuration module of the project. */
const ORIGINAL = new URL("greylist.config.ts", ROOT);

/** The temporary directories, which a signal removes. */
const directories = new Set<string>();

/** Builds in a directory of its own and puts the result in its place. */
async function build(
  options: Record<string, string | boolean | undefined>,
  scratch: string,
): Promise<void> {
  const name = options.config as string | undefined;
  const file = name === undefined ? ORIGINAL : toFileUrl(resolve(name));
  const shown = name ?? "greylist.config.ts";
  const output = resolve(
    options.output as string | undefined ??
      fromFileUrl(new URL("dist/greylist", ROOT)),
  );
  await checkOutput(output, file);
  await checkOwnDenort(scratch);
  const warning = untried(HERE);
  if (warning !== undefined) tell(`greylist compile: ${warning}`);
  const flags = await stdFlags(chosenStd(), scratch);
  const loaded = await loadApart(file, shown, flags, scratch);
  const { permissions } = loaded.needs;
  // The rehearsal comes before the type check: for a module of Node.js the check
  // would fetch types from npm, though the program may not use that module.
  await rehearse(file, shown, permissions, flags);
  await checkTypes(file, shown, flags);

  await ensureDir(dirname(output));
  const place = makeDirectory({ dir: dirname(output), prefix: ".greylist-" });
  try {
    const fresh = join(place, "greylist");
    await makeProgram(loaded, { scratch, shared: scratch, flags }, fresh);
    const { size } = await Deno.stat(fresh);
    const lines = new Output();
    lines.line(`config ${fromFileUrl(file)}`);
    for (const line of describePermissions(permissions)) lines.line(line);
    lines.line(`output ${output} (${(size / 1e6).toFixed(1)} MB)`);
    const { name: origin, sha256, directory } = await originOf(scratch);
    if (sha256 !== undefined) {
      lines.line(
        `runtime ${origin}, not from Deno; sha256 ${sha256}; for Deno's own, ` +
          `remove ${directory} and compile where Deno's download host answers, ` +
          "or name its denort in DENORT_BIN",
      );
    }
    lines.flush();
    // The last step that can fail: if one does, the old binary stays. It is renamed,
    // because a running binary cannot be written to (ETXTBSY).
    await Deno.rename(fresh, output);
  } finally {
    // A directory that stays does not make the result another one.
    await Deno.remove(place, { recursive: true }).catch(() => {});
  }
}

/** Makes a temporary directory that a signal removes. */
function makeDirectory(options: Deno.MakeTempOptions): string {
  const path = Deno.makeTempDirSync(options);
  directories.add(path);
  return path;
}

/**
 * Finds out whether the binary can be put in its place, before the build, and
 * makes nothing there.
 *
 * @param file the configuration module
 * @throws {UsageError} if no file can be there, or if the path is that of something
 * other than a regular file, or of the configuration module
 * @throws {TemporaryError} if the disk does not take a file now
 */
async function checkOutput(output: string, file: URL): Promise<void> {
  try {
    const old = statIfThere(output);
    if (old !== undefined && !old.isFile) {
      throw new UsageError("not a regular file");
    }
    // Loading the module says what is wrong with its path.
    const module = await Deno.stat(file).catch(() => undefined);
    if (
      old !== undefined && old.dev === module?.dev && old.ino === module.ino
    ) {
      throw new UsageError("the configuration module: expected another file");
    }
    let directory = dirname(output);
    while (!(await exists(directory))) directory = dirname(directory);
    // In one turn of the event loop: no signal comes in between.
    Deno.removeSync(Deno.makeTempFileSync({ dir: directory }));
  } catch (error) {
    throw outputError(output, error);
  }
}

/**
 * Has the file that DENORT_BIN names say its version: `deno compile` takes any.
 *
 * @throws {UsageError} if it is not the denort of this Deno
 * @throws {TemporaryError} if no program can be made or run to find out
 */
async function checkOwnDenort(scratch: string): Promise<void> {
  const own = Deno.env.get("DENORT_BIN");
  if (own === undefined) return;
  const expected = `expected the denort of Deno ${HERE.version}`;
  if (!isFile(own)) {
    throw new UsageError(`DENORT_BIN: ${own} is no file: ${expected}`);
  }
  const module = join(scratch, "version.js");
  await Deno.writeTextFile(module, "console.log(Deno.version.deno);\n");
  const program = join(scratch, "version");
  let text = "";
  try {
    await makeBinary(
      { module, v8Flags: "", permissions: [] },
      program,
      scratch,
    );
    const { success, stdout } = await new Deno.Command(program, {
      stdin: "null",
      stderr: "null",
    }).output();
    if (success) text = new TextDecoder().decode(stdout).trim();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) throw notRun(program);
    // Deno 2.9 takes ELF files only. A full disk, for example, is no fault of the file.
    if (
      error instanceof TemporaryError && !/Invalid object/.test(error.message)
    ) throw error;
  }
  if (text === HERE.version) return;
  const found = /^\d+\.\d+\.\d+$/.test(text)
    ? `of Deno ${text}`
    : "no denort that this Deno can use";
  throw new UsageError(`DENORT_BIN: ${own} is ${found}: ${expected}`);
}

/**
 * Runs one command line.
 *
 * @returns the exit code
 */
async function main(args: string[]): Promise<number> {
  let scratch: string | undefined;
  try {
    scratch = makeDirectory({ prefix: "greylist-" });
    const { options, operands } = parseOptions(args, {
      string: ["config", "output"],
      boolean: ["help"],
    });
    if (options.help) {
      print(HELP);
      return EXIT.done;
    }
    if (operands.length > 0) {
      throw new UsageError(
        `${operands[0]}: expected --config=FILE, if anything`,
      );
    }
    await build(options, scratch);
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof BadConfig) {
      tell(error.message);
      return EXIT.wrong;
    }
    // What Deno says has many lines.
    for (const line of `greylist compile: ${error.message}`.split("\n")) {
      tell(line);
    }
    return error instanceof UsageError ? EXIT.wrong : EXIT.temporary;
  } finally {
    if (scratch !== undefined) await Deno.remove(scratch, { recursive: true });
  }
}

if (import.meta.main) {
  endOnSignals(directories);
  Deno.exit(await main(Deno.args));
}
