/**
 * Whether there is room for a client that holds a descriptor for some time.
 *
 * @module
 */

import { type Room, roomFor } from "./descriptors.ts";
import { Reminder } from "./reminder.ts";

/** The room for such clients. Times are milliseconds. */
export class ClientRoom {
  readonly #room: Room;
  readonly #held: () => number;
  readonly #say: (what: string) => void;
  readonly #reminder = new Reminder();

  /**
   * @param maxDescriptors how many descriptors connections may use
   * @param limit how many child processes run at once
   * @param held how many descriptors clients hold now, without those of child
   * processes
   * @param say called once a minute at most with what the log is to say
   */
  constructor(
    maxDescriptors: number,
    limit: number,
    held: () => number,
    say: (what: string) => void,
  ) {
    this.#room = roomFor(maxDescriptors, limit);
    this.#held = held;
    this.#say = say;
  }

  /** Whether one more client may be looked up, talked to, or wait for a place. */
  mayHold(now: number): boolean {
    return this.#isBelow(this.#room.held, now);
  }

  /** Whether the store may be asked about one more client. */
  mayAsk(now: number): boolean {
    return this.#isBelow(this.#room.asked, now);
  }

  #isBelow(most: number, now: number): boolean {
    if (this.#held() < most) return true;
    if (this.#reminder.isDue(now)) {
      this.#say(
        "few descriptors left: not every client gets a dialogue, a name or a " +
          "verdict: expected a higher limit (LimitNOFILE=, softlimit -o)",
      );
    }
    return false;
  }
}
