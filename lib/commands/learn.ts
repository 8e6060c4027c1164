/**
 * `greylist learn`: makes hosts known that accept our mail, so that their answers
 * are not deferred.
 *
 * @module
 */

import { reasonOf } from "../reason.ts";
import {
  type Delivery,
  DeliveryReader,
  type UnderWay,
} from "../report/delivery.ts";
import { type Command, parseOptions, tell, UsageError } from "./command.ts";
import { FollowedFile } from "./follow.ts";
import { Learner } from "./learn/learner.ts";
import { checkStandardInput, readLogs } from "./logs.ts";

/** Milliseconds between two looks at a log that is followed. */
const POLL_EVERY = 1000;

/**
 * How long one reader reads a log that is followed, in seconds. A reader takes the
 * year of stamps that have none from when the log was written: it is wrong for ever if
 * the clock was not set yet, a year behind after a gap of half a year, and the stamps
 * of a day later are not believed.
 */
const READER_LIFE = 86400;

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
             their rotation, until SIGINT or SIGTERM; -f is the same. Each
             LOGFILE has to be a regular file
  --dry-run  write nothing, only say what would be learned

SIGNALS
  TERM, INT  with --follow: write what was read, and exit
  HUP        with --follow: read the files of the pools again

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
    const learner = new Learner(config, dry, (error) => {
      // Without --follow, the last line says it.
      if (options.follow) warn(`${reasonOf(error)}: tried again once a minute`);
    });
    await learner.load(warn);
    try {
      if (options.follow) await follow(paths, learner);
      else {
        // A delivery may begin in one file and end in the next one.
        const underWay: UnderWay = new Map();
        await readLogs(paths.map((path) => ({ path })), {
          command: "learn",
          // A look at the first line of a file comes before the files before it.
          reader: (written, _, isLook) =>
            readerOf(written, isLook ? new Map() : underWay),
          line: (delivery) => learner.take(delivery),
          long() {},
          damaged() {},
        });
      }
    } finally {
      // Also if a log cannot be read any further.
      learner.write(true);
    }
    if (!options.follow) learner.warnOfUnread(warn);
    return learner.finish();
  },
};

/** A reader for which a line without a stamp is as old as the file. */
function readerOf(
  written: number,
  underWay: UnderWay,
): { read(line: string): Delivery } {
  const reader = new DeliveryReader(written, underWay);
  return {
    read(line) {
      const delivery = reader.read(line);
      return { ...delivery, time: delivery.time ?? written };
    },
  };
}

async function follow(paths: string[], learner: Learner): Promise<void> {
  const files = paths.map((path) => {
    const underWay: UnderWay = new Map();
    let reader: DeliveryReader | undefined;
    let begun = -Infinity;
    return new FollowedFile(path, {
      line(line, written) {
        if (reader === undefined || written - begun > READER_LIFE) {
          reader = new DeliveryReader(written, underWay);
          begun = written;
        }
        const delivery = reader.read(line);
        learner.take({ ...delivery, time: delivery.time ?? written });
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
  // Until the files are read again, the old rules count.
  let isStale = false;
  let loading: Promise<void> | undefined;
  Deno.addSignalListener("SIGHUP", () => {
    isStale = true;
    wake();
  });
  const poll = () => {
    for (const file of files) file.poll();
  };
  poll();
  learner.warnOfUnread(warn);
  while (!stopped) {
    if (isStale && loading === undefined) {
      isStale = false;
      loading = learner.load(warn).finally(() => loading = undefined);
    }
    learner.write();
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, POLL_EVERY);
    });
    poll();
  }
  for (const file of files) file.close();
}

function warn(message: string): void {
  tell(`greylist learn: ${message}`);
}
