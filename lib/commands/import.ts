/**
 * `greylist import`: takes over the state of another program, or of another
 * greylist.
 *
 * @module
 */

import { formatNetwork, type Network } from "../address.ts";
import type { ResolvedConfig } from "../config.ts";
import { quote } from "../log/line.ts";
import { amount, counted } from "../report/format.ts";
import { LineSplitter } from "../report/lines.ts";
import { cqgreylist } from "../store/import/cqgreylist.ts";
import {
  type DirectoryFormat,
  readDirectory,
} from "../store/import/directory.ts";
import type { PoolEntry, ReadLine } from "../store/import/found.ts";
import { Intake } from "../store/import/intake.ts";
import { jgreylist } from "../store/import/jgreylist.ts";
import { listingReader } from "../store/import/listing.ts";
import { qgreylist } from "../store/import/qgreylist.ts";
import { readSpamdbLine } from "../store/import/spamdb.ts";
import { isSameFile } from "../system/statx.ts";
import { baseDirOwner } from "./user_rights.ts";
import {
  type Command,
  EXIT,
  parseOptions,
  print,
  tell,
  TemporaryError,
  UsageError,
} from "./command.ts";
import { fileError, openInput, pieces } from "./files.ts";
import { Progress } from "./progress.ts";

const DIRECTORIES: Readonly<Record<string, DirectoryFormat>> = {
  qgreylist,
  cqgreylist,
  jgreylist,
};

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist import - take over the state of another program

SYNOPSIS
  greylist import [--dry-run] FILE
  greylist import [--dry-run] --from=spamdb FILE
  greylist import [--dry-run] --from=qgreylist DIR
  greylist import [--dry-run] --from=cqgreylist DIR
  greylist import [--dry-run] --from=jgreylist DIR

DESCRIPTION
  Makes entries in baseDir from the state of another program, with their real
  times. A client whose mail was accepted becomes known, with its last accepted
  mail as its last use. Any other client is grey since its first contact.
  Entries that would have expired under the timeouts of this configuration are
  left out.

  FILE without --from is what greylist info wrote with --json or --csv: a
  backup, or the state of another host. FILE may be - for standard input. A FILE
  without a line is refused: the program that wrote it has most likely failed.

  The source is only read, and keeps its access times. If the source belongs to
  another user and the command does not run as root, the access times of its
  directories change, and a line says so. greylist may be running meanwhile.

  If baseDir already has the entry, the better of the two is kept: known is
  better than grey; of two known ones, the later last use and the larger count;
  of two grey ones, the earlier first contact. So a second import changes
  nothing.

  One client is a network of the configured match. An address that is imported
  makes the network around it known. A network that is wider than match is left
  out, and a line says so: no connection would look for it. A network of a pool
  becomes an entry of its own, and the pool begins anew.

  Entries belong to the owner of baseDir. Run it as that user or as root.

OPTIONS
  --from=PROGRAM  the program whose state is imported:
                  qgreylist   0.3; a directory of 192.0.2. and 192.0.2.17
                  cqgreylist  a directory of 192/192.0.2.17; it does not record
                              accepted mail, so that all entries are grey
                  jgreylist   a directory of 192/000/002, or ip4/... and ip6/...
                  spamdb      the output of OpenBSD's spamdb
  --dry-run       write nothing, only say what would be imported. Several
                  addresses of one network are each counted as an entry.

  "greylist help upgrading" goes through each of them step by step.

EXIT STATUS
  0    done, even if single lines or names could not be read
  100  FILE is empty, nothing in the source could be read, or the command line
       is wrong
  111  some entries could not be written
`,
  run(args, { config }) {
    const { options, operands } = parseOptions(args, {
      string: ["from"],
      boolean: ["dry-run"],
    });
    const from = options.from as string | undefined;
    const known = [...Object.keys(DIRECTORIES), "spamdb"];
    if (from !== undefined && !known.includes(from)) {
      throw new UsageError(`--from=${from}: expected ${known.join(", ")}`);
    }
    const isDirectory = from !== undefined && from !== "spamdb";
    const what = isDirectory ? "DIR" : "FILE";
    if (operands.length === 0) throw new UsageError(`${what}: is missing`);
    if (operands.length > 1) {
      throw new UsageError(`${operands[1]}: expected one ${what}`);
    }
    const [source] = operands;
    const dry = options["dry-run"] === true;
    const job = new Import(config, dry);
    try {
      if (isDirectory) importDirectory(source, from, config.baseDir, job);
      else importFile(source, from, job);
    } finally {
      job.progress.done();
    }
    return job.finish(source);
  },
};

function importDirectory(
  dir: string,
  from: string,
  baseDir: string,
  job: Import,
): void {
  const failed = (path: string, error: Error) => {
    throw fileError(path, error);
  };
  try {
    if (isSameFile(dir, baseDir)) {
      throw new UsageError(`${dir}: is baseDir: expected another directory`);
    }
  } catch (error) {
    throw error instanceof UsageError ? error : fileError(dir, error);
  }
  const keptAtimes = readDirectory(dir, DIRECTORIES[from], {
    found: (entry) => {
      job.progress.tick(1);
      job.intake.take(entry);
    },
    foreign: (path) => job.refuse(path, `expected an entry of ${from}`),
  }, failed);
  if (keptAtimes) return;
  job.progress.done();
  tell(
    `greylist import: ${dir}: belongs to another user: the access times of ` +
      "its directories have changed",
  );
}

function importFile(
  file: string,
  from: string | undefined,
  job: Import,
): void {
  const readLine: ReadLine<Network | PoolEntry> = from === undefined
    ? listingReader()
    : readSpamdbLine;
  const expected = from === undefined
    ? "expected a line of greylist info --json or --csv"
    : "expected a line of spamdb";
  let number = 0;
  let isEmpty = true;
  const refuse = (line: string) =>
    job.refuse(`${file}:${number}: ${quote(line.slice(0, 60))}`, expected);
  const lines = new LineSplitter((line) => {
    number++;
    if (line === "") return;
    isEmpty = false;
    const found = readLine(line);
    if (found === undefined) refuse(line);
    else if (found !== "other") job.intake.take(found);
  }, () => {
    number++;
    isEmpty = false;
    refuse("a line without an end");
  });
  const { info, handle } = openInput(file);
  job.progress = new Progress(info?.isFile ? info.size : undefined, "bytes");
  for (const bytes of pieces(handle)) {
    job.progress.tick(bytes.length);
    lines.push(bytes);
  }
  lines.end();
  // That is what a pipe brings from a command that has failed.
  if (isEmpty) {
    const what = file === "-" ? "standard input" : file;
    throw new UsageError(`${what}: is empty: ${expected}`);
  }
}

/** What an import works on: the entries, what is no entry, and a bar. */
class Import {
  progress = new Progress(undefined, "entries");
  readonly intake: Intake;
  readonly #match: ResolvedConfig["match"];
  readonly #dry: boolean;
  #refused = 0;
  #firstRefused = "";

  constructor({ baseDir, match, timeouts }: ResolvedConfig, dry: boolean) {
    const place = { dir: baseDir, owner: baseDirOwner(baseDir), dry };
    this.intake = new Intake(place, { match, timeouts }, Date.now() / 1000);
    this.#match = match;
    this.#dry = dry;
  }

  /** Reports a line or name of the source that is no entry. */
  refuse(what: string, expected: string): void {
    if (this.#refused++ === 0) this.#firstRefused = `${what}: ${expected}`;
  }

  /**
   * Prints the counts of what was imported.
   *
   * @param source its name
   * @returns the exit code
   * @throws {UsageError} if nothing in the source could be read
   * @throws {TemporaryError} if something could not be written
   */
  finish(source: string): number {
    const { read, firstWider, failed, failure } = this.intake;
    if (this.#refused > 0) {
      const more = this.#refused - 1;
      const rest = more > 0 ? ` (and ${amount(more)} more)` : "";
      const message = this.#firstRefused + rest;
      if (read === 0) throw new UsageError(message);
      tell(`greylist import: ${message}`);
    }
    if (firstWider !== undefined) {
      const field = firstWider.family === 4 ? "ipv4" : "ipv6";
      tell(
        `greylist import: ${formatNetwork(firstWider)}: wider than ` +
          `match.${field}, ${this.#match[field]}: left out`,
      );
    }
    print(this.#summary(source));
    if (failure === undefined) return EXIT.done;
    throw new TemporaryError(
      `${counted(failed, "entry", "entries")} not written: ` +
        (failure as Error).message,
    );
  }

  #summary(source: string): string {
    const { read, known, grey, widened, kept, expired, wider } = this.intake;
    const verb = this.#dry ? "would import" : "imported";
    const all = counted(read, "entry", "entries");
    const others: [number, string][] = [
      [widened, "as the network around an address"],
      [kept, "there already"],
      [expired, "expired"],
      [wider, "wider than match"],
      [this.#refused, "unreadable"],
    ];
    return [
      `${verb} ${amount(known + grey)} of ${all} from ${source}: ` +
      `${amount(known)} known, ${amount(grey)} grey`,
      ...others.filter(([value]) => value > 0)
        .map(([value, text]) => `${amount(value)} ${text}`),
    ].join(", ");
  }
}
