/**
 * `greylist prune`: removes the entries that have expired.
 *
 * @module
 */

import { amount, counted } from "../report/format.ts";
import { prune } from "../store/prune.ts";
import {
  type Command,
  EXIT,
  parseOptions,
  print,
  TemporaryError,
  UsageError,
} from "./command.ts";
import { Progress } from "./progress.ts";

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist prune - remove expired entries

SYNOPSIS
  greylist prune [--dry-run]

DESCRIPTION
  Removes the entries that have expired: those never accepted and older than
  timeouts.retryWindow, and those accepted and not seen for longer than
  timeouts.expireAfter. Each entry is looked at just before it is removed.
  An index of a whitelist file goes if it is a week old. Any other
  name in baseDir is never touched.

  The wrapper and serve do this by themselves every prune.every. The wrapper
  prunes after a deferred client has gone. With deferral.at "rblsmtpd" or mode
  "observe" the wrapper does not prune, and a cron job has to run this command.

OPTIONS
  --dry-run  remove nothing, only say how many would go

EXIT STATUS
  0 done; 100 an entry may not be removed; 111 the disk or the file system
  failed: try again later
`,
  run(args, { config }) {
    const { options, operands } = parseOptions(args, { boolean: ["dry-run"] });
    if (operands.length > 0) {
      throw new UsageError(`${operands[0]}: expected options only`);
    }
    const dry = options["dry-run"] === true;
    const progress = new Progress(undefined, "entries");
    const { removed, seen, failure } = prune(config, {
      dry,
      seen: () => progress.tick(1),
    });
    progress.done();
    const of = counted(seen, "entry", "entries");
    const verb = dry ? "would remove" : "removed";
    print(`${verb} ${amount(removed)} of ${of}`);
    if (failure === undefined) return EXIT.done;
    const Kind = failure.isPassing ? TemporaryError : UsageError;
    throw new Kind(`some stay: ${failure.message}`);
  },
};
