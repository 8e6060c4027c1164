/**
 * A store in a directory of its own.
 *
 * @module
 */

import type { Entry, Timeouts, Verdict } from "../../lib/store/policy.ts";
import { Store } from "../../lib/store/store.ts";
import { type FileTask, runNow } from "../../lib/system/file_task.ts";
import "./libc.ts";

export const TIMEOUTS: Timeouts = {
  delay: 60,
  retryWindow: 3600,
  expireAfter: 86400,
};
export const NAME = "192.0.2.0_24";

/** A store with a function that runs before or after each look at an entry. */
class Meddled extends Store {
  meddle = (look: () => Entry | undefined) => look();

  // deno-lint-ignore require-yield -- its calls are run right here
  protected override *look(
    name: string,
    mayFail?: boolean,
  ): FileTask<Entry | undefined> {
    const look = super.look(name, mayFail);
    return this.meddle(() => runNow(look));
  }
}

/** A base directory that is gone when the test is over. */
export class Place implements Disposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "greylist-store-" });
  readonly store = new Meddled(this.dir);
  readonly path = `${this.dir}/${NAME}`;

  /**
   * Seconds since 1970, a whole number, which no file's time rounds. Files are
   * written now, whatever this says.
   */
  readonly now = Math.ceil(Date.now() / 1000);

  decide(): string {
    return shown(this.store.decide(NAME, this.now, TIMEOUTS));
  }

  /** Puts an entry there that was last written so many seconds ago. */
  put(accepted: number, age: number): void {
    Deno.writeTextFileSync(this.path, "", { mode: 0o600 });
    Deno.truncateSync(this.path, accepted);
    Deno.utimeSync(this.path, this.now - age, this.now - age);
  }

  /** What stat says of the entry. */
  stat() {
    const { size, mode, blocks, mtime } = Deno.lstatSync(this.path);
    const age = this.now - mtime!.getTime() / 1000;
    // Files are stamped by a clock that is some milliseconds coarse.
    const written = Math.abs(age) < 30 ? "now" : Math.round(age);
    return { size, mode: mode! & 0o7777, blocks, written };
  }

  names(): string[] {
    return [...Deno.readDirSync(this.dir)].map(({ name }) => name).toSorted();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

export function shown(verdict: Verdict): string {
  return verdict.action === "defer"
    ? `defer ${verdict.reason} ${verdict.wait}`
    : `pass ${verdict.reason} ${verdict.accepted}`;
}

/** The entry before, the verdict, the entry afterwards. */
export const ROWS: [
  string,
  [number, number] | undefined,
  string,
  [number, number | "now"],
][] = [
  ["none", undefined, "defer new 60", [0, "now"]],
  ["grey, early", [0, 40], "defer early 20", [0, 40]],
  ["grey, at the delay", [0, 60], "pass retried 1", [1, "now"]],
  ["grey, in the window", [0, 3599], "pass retried 1", [1, "now"]],
  ["grey, stale", [0, 3601], "defer stale 60", [0, "now"]],
  ["known", [1, 40], "pass known 2", [2, "now"]],
  ["known for long", [4711, 86399], "pass known 4712", [4712, "now"]],
  ["expired", [4711, 86401], "defer expired 60", [0, "now"]],
  ["grey, far ahead", [0, -90], "defer early 60", [0, "now"]],
  ["known, far ahead", [3, -90], "pass known 4", [4, "now"]],
];
