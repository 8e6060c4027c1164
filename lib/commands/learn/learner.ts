/**
 * Makes the networks known that mail was delivered to.
 *
 * @module
 */

import { clientNetwork } from "../../address.ts";
import type { ResolvedConfig } from "../../config.ts";
import { Lists } from "../../lists.ts";
import { reasonOf } from "../../reason.ts";
import type { Delivery } from "../../report/delivery.ts";
import { amount, counted } from "../../report/format.ts";
import { adopt, better, type Place } from "../../store/adopt.ts";
import { type Entry, isForgotten } from "../../store/policy.ts";
import { readRegularFileLater } from "../../system/background_file.ts";
import { subjectOf } from "../../who_waits.ts";
import { EXIT, print, TemporaryError } from "../command.ts";
import { baseDirOwner } from "../user_rights.ts";

/** The least time between two writes for one network, in seconds. */
const WRITE_EVERY = 3600;

/** How many networks are held before they are written. */
const HELD = 100_000;

/** Milliseconds until networks that could not be written are tried again. */
const RETRY_EVERY = 60_000;

/** Takes deliveries, and writes the networks that they went to. */
export class Learner {
  readonly #config: ResolvedConfig;
  readonly #place: Place;
  readonly #lists: Lists;
  /** Networks that are not written yet, by entry, with the latest time. */
  readonly #held = new Map<string, number>();
  #deliveries = 0;
  /** Deliveries whose host could not be read. */
  #unread = 0;
  #learned = 0;
  #renewed = 0;
  /** The networks that are counted, if nothing is written that would say so. */
  readonly #counted = new Set<string>();
  /** Those that could not be written, in the same form. */
  readonly #failed = new Map<string, number>();
  /** Why the first of these could not be written. */
  #failure: unknown;
  /** From when on these are tried again. */
  #retryAt = -Infinity;
  /** Whether {@linkcode #failing} was called since all were written. */
  #hasFailed = false;
  /** How many could not be written and did not fit into memory. */
  #dropped = 0;
  readonly #failing: (error: unknown) => void;

  /** @param failing called when the first network cannot be written */
  constructor(
    config: ResolvedConfig,
    dry: boolean,
    failing: (error: unknown) => void,
  ) {
    const { baseDir } = config;
    this.#config = config;
    this.#failing = failing;
    const whitelist = { ...config.whitelist, files: [] };
    const pools = { ...config, whitelist, only: undefined };
    this.#lists = new Lists(pools, () => false);
    this.#place = { dir: baseDir, owner: baseDirOwner(baseDir), dry };
  }

  /**
   * Reads the files of the pools.
   *
   * @param warn called for files that cannot be read, and for bad lines
   */
  load(warn: (message: string) => void): Promise<void> {
    return this.#lists.load(
      readRegularFileLater,
      (_, message) => warn(message),
    );
  }

  /** Takes what a line of the log says. */
  take({ host, time, isUnread }: Delivery): void {
    if (isUnread) this.#unread++;
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
    this.#hold(name, Math.floor(time));
    if (this.#held.size >= HELD) this.write();
  }

  /**
   * Writes the networks that are held. Those that cannot be written are tried again
   * after a minute.
   *
   * @param isLast whether they are tried now
   */
  write(isLast = false): void {
    const now = performance.now();
    if (isLast || now >= this.#retryAt) {
      for (const [name, time] of this.#failed) this.#hold(name, time);
      this.#failed.clear();
    }
    for (const [name, time] of this.#held) {
      try {
        this.#adopt(name, time);
      } catch (error) {
        this.#fail(name, time, error);
      }
    }
    this.#held.clear();
    if (this.#failed.size === 0) {
      this.#hasFailed = false;
    } else if (!this.#hasFailed) {
      this.#hasFailed = true;
      this.#failing(this.#failure);
    }
  }

  #hold(name: string, time: number): void {
    this.#held.set(name, Math.max(this.#held.get(name) ?? -Infinity, time));
  }

  #fail(name: string, time: number, error: unknown): void {
    if (this.#failed.size === 0) {
      this.#failure = error;
      this.#retryAt = performance.now() + RETRY_EVERY;
    }
    if (this.#failed.size < HELD) this.#failed.set(name, time);
    else this.#dropped++;
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
    if (this.#counted.has(name)) return;
    if (this.#place.dry) this.#counted.add(name);
    if (wasKnown) this.#renewed++;
    else this.#learned++;
  }

  /** Warns if hosts accepted messages and not one of their addresses was read. */
  warnOfUnread(warn: (message: string) => void): void {
    if (this.#deliveries > 0 || this.#unread === 0) return;
    const what = counted(this.#unread, "remote delivery", "remote deliveries");
    warn(`${what}, none with a host that can be read: greylist help learn`);
  }

  /**
   * Prints what was learned.
   *
   * @returns the exit code
   * @throws {TemporaryError} if something could not be written
   */
  finish(): number {
    const networks = counted(this.#learned, "network");
    print(
      `${counted(this.#deliveries, "delivery", "deliveries")}: ` +
        `${this.#place.dry ? "would make" : "made"} ${networks} known, ` +
        `${this.#place.dry ? "renew" : "renewed"} ` +
        amount(this.#renewed),
    );
    const failed = this.#dropped + this.#failed.size;
    if (failed === 0) return EXIT.done;
    throw new TemporaryError(
      `${counted(failed, "entry", "entries")} not written: ` +
        reasonOf(this.#failure),
    );
  }
}
