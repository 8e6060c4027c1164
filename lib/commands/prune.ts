/**
 * `greylist prune`: removes the entries that have expired.
 *
 * @module
 */

import { prune } from "../store/prune.ts";
import {
  type Command,
  EXIT,
  Output,
  parseOptions,
  TemporaryError,
  UsageError,
} from "./command.ts";
import { Progress } from "./progress.ts";
import { count } from "./format.ts";

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist prune - remove forgotten entries

SYNOPSIS
  greylist prune [--dry-run]

DESCRIPTION
  Removes the entries that no longer mean anything: never accepted and older
  than timeouts.retryWindow, or accepted and not seen for longer than
  timeouts.expireAfter. Each is looked at just before it goes. A
  name in baseDir that is no entry is never touched.

  The wrapper does this by itself every prune.every, after a deferred client
  has gone; only with deferral.at "rblsmtpd" it does not, and a cron job has
  to.

OPTIONS
  --dry-run  remove nothing, only say how many would go
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
    const output = new Output();
    const of = count(seen, "entry", "entries");
    const number = removed.toLocaleString("en-US");
    output.line(`${dry ? "would remove" : "removed"} ${number} of ${of}`);
    output.flush();
    if (failure === undefined) return EXIT.done;
    throw new TemporaryError(`some stay: ${(failure as Error).message}`);
  },
};
