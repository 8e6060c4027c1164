/**
 * `greylist learn`: makes hosts known that accept our mail, so that their answers
 * are not deferred.
 *
 * @module
 */

import { type Address, clientNetwork } from "../address.ts";
import type { ResolvedConfig } from "../config.ts";
import { type Delivery, DeliveryReader } from "../report/delivery.ts";
import { amount, counted } from "../report/format.ts";
import { adopt, better, type Place } from "../store/adopt.ts";
import { type Entry, isForgotten } from "../store/policy.ts";
import { Lists } from "../lists.ts";
import { reasonOf } from "../reason.ts";
import { readRegularFileLater } from "../system/background_file.ts";
import { subjectOf } from "../who_waits.ts";
import { baseDirOwner } from "./user_rights.ts";
import {
  type Command,
  EXIT,
  Output,
  parseOptions,
  tell,
  TemporaryError,
  UsageError,
} from "./command.ts";
import { FollowedFile } from "./follow.ts";
import { checkStandardInput, readLogs } from "./logs.ts";

/** The least time between two writes for one network, in seconds. */
const WRITE_EVERY = 3600;

/** How many networks are held before they are written. */
const HELD = 100_000;

/** Milliseconds between two looks at a log that is followed. */
const POLL_EVERY = 1000;

/** Milliseconds until networks that could not be written are tried again. */
const RETRY_EVERY = 60_000;

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist learn - make the hosts known that accept our mail

SYNOPSIS
  greylist learn [--dry-run] [LOGFILE...]
  greylist learn [--dry-run] --follow LOGFILE...

DESCRIPTION
  Reads the log of qmail-send. The network of each host that accepted a message
  becomes known, as if it had sent mail at that time, so that the answer is not
  deferred. Only successful remote deliveries count.

  LOGFILE may have been written by multilog or through a syslog daemon. If its
  lines have no stamps, the time at which the file was last written counts, and
  for a line that --follow finds later, the time at which it is found. The file
  may be compressed with gzip. Without LOGFILE, or with -, standard input is
  read.

  No entry is removed or made worse. The last use of a known network becomes the
  time of the delivery, if the delivery is later; the count of accepted
  connections stays. A network is written once an hour at most. Deliveries
  longer ago than timeouts.expireAfter are left out.

  Entries belong to the owner of baseDir. Run it as that user or as root.

OPTIONS
  --follow   read the files, then go on with what is written to them, through
             their rotation, until SIGINT or SIGTERM; -f is the same
  --dry-run  write nothing, only say what would be learned

EXIT STATUS
  0    done
  100  a file cannot be read, or the command line is wrong
  111  some entries could not be written
`,
  async run(args, { config }) {
    const { options, operands } = parseOptions(
      args.map((arg) => arg === "-f" ? "--follow" : arg),
      { boolean: ["dry-run", "follow"] },
    );
    const dry = options["dry-run"] === true;
    const paths = operands.length > 0 ? operands : ["-"];
    checkStandardInput(paths);
    if (options.follow && paths.includes("-")) {
      throw new UsageError("--follow: expected LOGFILE, not standard input");
    }
    const learner = new Learner(config, dry);
    await learner.load();
    try {
      if (options.follow) await follow(paths, learner);
      else {
        // A delivery may begin in one file and end in the next one.
        const local = new Set<string>();
        await readLogs(paths.map((path) => ({ path })), {
          command: "learn",
          reader: (written) => readerOf(written, local),
          line: ({ time, host }) => learner.take(host, time),
          long() {},
          damaged() {},
        });
      }
    } finally {
      // Also if a log cannot be read any further.
      learner.writeNow();
    }
    return learner.finish();
  },
};

/** A reader for which a line without a stamp is as old as the file. */
function readerOf(
  written: number,
  local: Set<string>,
): { read(line: string): Delivery } {
  const reader = new DeliveryReader(written, local);
  return {
    read(line) {
      const { time = written, host } = reader.read(line);
      return { time, host };
    },
  };
}

async function follow(paths: string[], learner: Learner): Promise<void> {
  const files = paths.map((path) => {
    let reader: DeliveryReader | undefined;
    return new FollowedFile(path, {
      line(line, written) {
        reader ??= new DeliveryReader(written);
        const { time = written, host } = reader.read(line);
        learner.take(host, time);
      },
      warn,
    });
  });
  let stopped = false;
  let wake = () => {};
  const stop = () => {
    stopped = true;
    wake();
  };
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
  while (!stopped) {
    for (const file of files) file.poll();
    const failure = learner.write();
    if (failure !== undefined) {
      warn(`${reasonOf(failure)}: tried again once a minute`);
    }
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, POLL_EVERY);
    });
  }
  for (const file of files) {
    file.poll();
    file.close();
  }
}

function warn(message: string): void {
  tell(`greylist learn: ${message}`);
}

/** Takes deliveries, and writes the networks that they went to. */
class Learner {
  readonly #config: ResolvedConfig;
  readonly #place: Place;
  readonly #lists: Lists;
  /** Networks that are not written yet, by entry, with the latest time. */
  readonly #held = new Map<string, number>();
  #deliveries = 0;
  #learned = 0;
  #renewed = 0;
  /** How many networks did not fit into memory. */
  #dropped = 0;
  /** Why a network could not be written, of the last time that one could not. */
  #failure: unknown;
  /** Whether some of the networks could not be written last time. */
  #isFailing = false;
  /** From when on these are tried again. */
  #retryAt = -Infinity;

  constructor(config: ResolvedConfig, dry: boolean) {
    const { baseDir } = config;
    this.#config = config;
    this.#lists = new Lists(config, () => false);
    this.#place = { dir: baseDir, owner: baseDirOwner(baseDir), dry };
  }

  /** Reads the files of the pools. */
  load(): Promise<void> {
    return this.#lists.load(
      readRegularFileLater,
      (_, message) => warn(message),
    );
  }

  /**
   * @param host the host that accepted a message, if one did
   * @param time the time of the delivery, in seconds since 1970
   */
  take(host: Address | undefined, time: number | undefined): void {
    if (host === undefined || time === undefined) return;
    this.#deliveries++;
    const { match, pools } = this.#config;
    const { entry: name } = subjectOf(
      pools,
      clientNetwork(host, match),
      // The name of the host is unknown: the log of qmail-send has its address only.
      { address: host, host: undefined },
      this.#lists.filesOf,
    );
    const latest = this.#held.get(name) ?? -Infinity;
    this.#held.set(name, Math.max(latest, Math.floor(time)));
    if (this.#held.size < HELD) return;
    this.write();
    if (this.#held.size < HELD) return;
    this.#dropped += this.#held.size;
    this.#held.clear();
  }

  /**
   * Writes the networks that are held. Those that cannot be written stay held, and
   * all wait for a minute then.
   *
   * @returns why some could not be written, if that is new
   */
  write(): unknown {
    if (performance.now() < this.#retryAt) return undefined;
    return this.writeNow();
  }

  /** The same, without waiting. */
  writeNow(): unknown {
    let failure: unknown;
    for (const [name, time] of this.#held) {
      try {
        this.#adopt(name, time);
        this.#held.delete(name);
      } catch (error) {
        failure ??= error;
      }
    }
    const wasFailing = this.#isFailing;
    this.#isFailing = failure !== undefined;
    if (!this.#isFailing) return undefined;
    this.#failure = failure;
    this.#retryAt = performance.now() + RETRY_EVERY;
    return wasFailing ? undefined : failure;
  }

  #adopt(name: string, time: number): void {
    const { timeouts } = this.#config;
    const now = Date.now() / 1000;
    const found = { accepted: 1, mtime: Math.min(time, Math.floor(now)) };
    if (isForgotten(found, now, timeouts)) return;
    let wasKnown = false;
    const choose = (old: Entry) => {
      wasKnown = old.accepted > 0 && !isForgotten(old, now, timeouts);
      const recent = wasKnown && found.mtime < old.mtime + WRITE_EVERY;
      return recent ? old : better(old, found, now, timeouts);
    };
    if (adopt(this.#place, name, found, choose) === "kept") return;
    if (wasKnown) this.#renewed++;
    else this.#learned++;
  }

  /**
   * Prints what was learned.
   *
   * @returns the exit code
   * @throws {TemporaryError} if something could not be written
   */
  finish(): number {
    const output = new Output();
    const networks = counted(this.#learned, "network");
    output.line(
      `${counted(this.#deliveries, "delivery", "deliveries")}: ` +
        `${this.#place.dry ? "would make" : "made"} ${networks} known, ` +
        `${this.#place.dry ? "renew" : "renewed"} ` +
        amount(this.#renewed),
    );
    output.flush();
    const failed = this.#dropped + this.#held.size;
    if (failed === 0) return EXIT.done;
    throw new TemporaryError(
      `${counted(failed, "entry", "entries")} not written: ` +
        reasonOf(this.#failure),
    );
  }
}
