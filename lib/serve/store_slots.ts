/**
 * The memory that the event loop and one store worker share: a fixed number of
 * slots, each with the question about one client and, later, its answer. Both
 * sides read and write it in place, so that a decision costs no message.
 *
 * A slot belongs to one side at a time, as its state says: the event loop writes
 * a question and sets ASKED; the worker takes the slot (TAKEN), writes the answer
 * and sets ANSWERED; the event loop reads it and sets FREE. Each change of state
 * is atomic, and orders what was written before it.
 *
 * @module
 */

import { DEFER_REASONS, type Verdict } from "../store/policy.ts";

/** How many clients one worker may be asked about at once. */
export const SLOTS = 64;

/** What the worker is asked. */
export interface Question {
  /** The name of the entry's file: ASCII, at most 255 bytes (NAME_MAX). */
  readonly entry: string;
  /** Seconds since 1970. */
  readonly now: number;
  /** Whether the client most likely has no entry; see {@linkcode Store.decideNew}. */
  readonly isNew: boolean;
}

/** What the worker answers. */
export interface Answer {
  /** The verdict, or the message of the error. */
  readonly result: Verdict | string;
  /** How long the decision took, in milliseconds. */
  readonly took: number;
}

const FREE = 0, ASKED = 1, TAKEN = 2, ANSWERED = 3;

// The header is four words: how often the worker was called, whether it is to end,
// whether the file system is a remote one, and one that is not used, so that the
// slots begin at a multiple of 8 bytes.
const CALLS = 0, END = 1, REMOTE = 2, HEADER = 4;

/** A slot's own part: three numbers, then text. */
const SLOT = 1024;
const NUMBERS = 3;
const TEXT = 8 * NUMBERS;

/** The states of all slots come first, padded to a multiple of 8 bytes. */
const STATES = 4 * (HEADER + SLOTS);

const PASSED = ["retried", "known"] as const;

/** What the first number of an answer means; DEFER_REASONS and PASSED follow. */
const FAILED = 0;

/** The shared memory as one side sees it. */
export class StoreSlots {
  readonly #words: Int32Array;
  readonly #memory: SharedArrayBuffer;
  /** Made once: a decision looks at its slot several times. */
  readonly #slots: readonly {
    readonly numbers: Float64Array;
    readonly text: Uint16Array;
  }[];

  /** @param memory the memory that the other side made; left out to make it here */
  constructor(memory?: SharedArrayBuffer) {
    this.#memory = memory ?? new SharedArrayBuffer(STATES + SLOTS * SLOT);
    this.#words = new Int32Array(this.#memory, 0, HEADER + SLOTS);
    this.#slots = Array.from({ length: SLOTS }, (_, slot) => {
      const start = STATES + slot * SLOT;
      return {
        numbers: new Float64Array(this.#memory, start, NUMBERS),
        text: new Uint16Array(this.#memory, start + TEXT, (SLOT - TEXT) / 2),
      };
    });
  }

  /** The shared memory, which the other side gets. */
  get memory(): SharedArrayBuffer {
    return this.#memory;
  }

  /** Writes a question into a free slot. {@linkcode call} tells the worker. */
  ask(slot: number, { entry, now, isNew }: Question): void {
    const { numbers } = this.#slots[slot];
    numbers[0] = now;
    numbers[1] = Number(isNew);
    this.#write(slot, entry);
    Atomics.store(this.#words, HEADER + slot, ASKED);
  }

  /**
   * Takes a question back that the worker has not begun with, and frees the slot.
   *
   * @returns false if the worker has begun with it
   */
  withdraw(slot: number): boolean {
    const at = HEADER + slot;
    return Atomics.compareExchange(this.#words, at, ASKED, FREE) === ASKED;
  }

  /** Wakes the worker. */
  call(): void {
    Atomics.add(this.#words, CALLS, 1);
    Atomics.notify(this.#words, CALLS);
  }

  /** Has the worker end when it has answered what it was asked. */
  end(): void {
    Atomics.store(this.#words, END, 1);
    this.call();
  }

  /**
   * Takes an answer out, and frees the slot.
   *
   * @returns undefined if there is none yet
   */
  takeAnswer(slot: number): Answer | undefined {
    if (Atomics.load(this.#words, HEADER + slot) !== ANSWERED) return undefined;
    const { numbers } = this.#slots[slot];
    const [kind, value, took] = numbers;
    const result = kind === FAILED
      ? this.#read(slot)
      : verdictOf(kind, value, this.#read(slot));
    Atomics.store(this.#words, HEADER + slot, FREE);
    return { result, took };
  }

  /** Whether calls on the base directory go to another machine, as far as known. */
  get isRemote(): boolean {
    return Atomics.load(this.#words, REMOTE) === 1;
  }

  /** Tells that they do; the worker's side. */
  tellRemote(): void {
    Atomics.store(this.#words, REMOTE, 1);
  }

  /**
   * Waits for questions; the worker's side.
   *
   * @param calls what the last wait returned, 0 at first
   * @returns undefined if the worker is to end
   */
  wait(calls: number): number | undefined {
    Atomics.wait(this.#words, CALLS, calls);
    const now = Atomics.load(this.#words, CALLS);
    return Atomics.load(this.#words, END) === 1 ? undefined : now;
  }

  /**
   * Takes the question out of a slot.
   *
   * @returns undefined if there is none
   */
  takeQuestion(slot: number): Question | undefined {
    const at = HEADER + slot;
    const was = Atomics.compareExchange(this.#words, at, ASKED, TAKEN);
    if (was !== ASKED) return undefined;
    const [now, isNew] = this.#slots[slot].numbers;
    return { entry: this.#read(slot), now, isNew: isNew === 1 };
  }

  /** Answers the question that was taken out of a slot. */
  answer(slot: number, { result, took }: Answer): void {
    const { numbers } = this.#slots[slot];
    numbers[2] = took;
    if (typeof result === "string") {
      numbers[0] = FAILED;
      this.#write(slot, result);
    } else if (result.action === "defer") {
      numbers[0] = 1 + DEFER_REASONS.indexOf(result.reason);
      numbers[1] = result.wait;
      this.#write(slot, result.write);
    } else {
      numbers[0] = 1 + DEFER_REASONS.length + PASSED.indexOf(result.reason);
      numbers[1] = result.age;
      this.#write(slot, String(result.accepted));
    }
    Atomics.store(this.#words, HEADER + slot, ANSWERED);
  }

  /** A text in UTF-16, behind its length; what is too long is cut. */
  #write(slot: number, text: string): void {
    const units = this.#slots[slot].text;
    const length = Math.min(text.length, units.length - 1);
    units[0] = length;
    for (let i = 0; i < length; i++) units[i + 1] = text.charCodeAt(i);
  }

  #read(slot: number): string {
    const units = this.#slots[slot].text;
    let text = "";
    for (let i = 1; i <= units[0]; i++) text += String.fromCharCode(units[i]);
    return text;
  }
}

function verdictOf(kind: number, value: number, rest: string): Verdict {
  const index = kind - 1;
  return index < DEFER_REASONS.length
    ? {
      action: "defer",
      reason: DEFER_REASONS[index],
      wait: value,
      write: rest as "create" | "touch" | "reset" | "none",
    }
    : {
      action: "pass",
      reason: PASSED[index - DEFER_REASONS.length],
      age: value,
      accepted: Number(rest),
      write: "accept",
    };
}
