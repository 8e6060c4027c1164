import { assert } from "@std/assert";
import { Dialogue } from "../../lib/smtp/dialogue.ts";
import { cutText } from "../../lib/smtp/reply_text.ts";
import {
  assertReplies,
  assertSame,
  type Kind,
  MAX_LINE,
  pick,
  randomFrom,
  streamOf,
} from "../harness/streams.ts";

// Random and mutated command streams through the dialogue. An input follows
// from its kind and seed alone, so a failure's message is enough to repeat it:
// put the pair into `FOUND`.

/** The inputs that once failed, which are tried first. */
const FOUND: [kind: Kind, seed: number][] = [];

const HOST = "mx.example.org";
const DEFERRAL = "451 4.7.1 Greylisted, please try again later";

const INPUTS: Record<Kind, number> = {
  bytes: 30_000,
  commands: 30_000,
  mutated: 40_000,
  long: 3_000,
};

function bytes(text: string): Uint8Array {
  const result = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) result[i] = text.charCodeAt(i);
  return result;
}

function text(data: string | Uint8Array): string {
  if (typeof data === "string") return data;
  let result = "";
  for (const byte of data) result += String.fromCharCode(byte);
  return result;
}

interface Session {
  dialogue: Dialogue;
  output: string;
}

function run(input: Uint8Array, sizeOfNext: () => number): Session {
  const dialogue = new Dialogue({ hostname: HOST, deferral: DEFERRAL });
  let output = "";
  for (let at = 0; at < input.length;) {
    // The dialogue must not rely on the buffer, which the caller uses again.
    const buffer = input.slice(at, at + sizeOfNext());
    at += buffer.length;
    const wasDone = dialogue.done;
    const replies = dialogue.receive(buffer);
    buffer.fill(0x21);
    if (replies === "") continue;
    assert(!wasDone, "a reply after the end");
    assert(replies.endsWith("\r\n"), "half a reply");
    output += replies;
  }
  return { dialogue, output };
}

/** Checks what must hold for every input. */
function checkSession(input: string, session: Session): void {
  const { done, recipients } = assertReplies(input, session.output, DEFERRAL);
  assertSame(session.dialogue.done, done, "done");

  const { helo, from, to, recipients: counted } = session.dialogue.envelope;
  assert(counted <= recipients, "recipients");
  assert((counted > 0) === (recipients > 0), "recipients");
  for (const value of [helo, from, to]) {
    if (value === undefined) continue;
    assert(value.length <= MAX_LINE, "length of an envelope value");
    assert(!text(value).includes("\n"), "a line end in an envelope value");
    assert(input.includes(text(value)), "bytes that were not sent");
  }
}

function check(kind: Kind, seed: number): void {
  const random = randomFrom(seed);
  const input = streamOf(kind, random);
  try {
    const data = bytes(input);
    const whole = run(data, () => data.length);
    checkSession(input, whole);
    const largest = pick(random, [1, 9, 90, 900, 4096]);
    const parts = run(data, () => 1 + random(largest));
    assertSame(parts.output, whole.output, "split");
    assertSame(
      state(parts.dialogue),
      state(whole.dialogue),
      "state when split",
    );
  } catch (error) {
    throw new Error(
      `["${kind}", ${seed}]: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  }
}

function state(dialogue: Dialogue): string {
  const { helo, from, to, recipients } = dialogue.envelope;
  const values = [helo, from, to].map((value) => value && text(value));
  return [...values.map(String), recipients, dialogue.done].join(" ");
}

for (const [kind, seed] of FOUND) {
  Deno.test(`input that once failed: ${kind} ${seed}`, () => check(kind, seed));
}

for (const [kind, count] of Object.entries(INPUTS) as [Kind, number][]) {
  Deno.test(`${count} random inputs: ${kind}`, () => {
    for (let seed = 1; seed <= count; seed++) check(kind, seed);
  });
}

Deno.test("cutText makes one short printable line of anything", () => {
  const random = randomFrom(1);
  for (let count = 0; count < 5_000; count++) {
    let given = "";
    for (let size = random(700); size > 0; size--) {
      const limit = pick(random, [0x20, 0x80, 0x100, 0x3000, 0x10000]);
      given += String.fromCharCode(random(limit));
    }
    const line = cutText(given);
    assert(/^[!-~]([ -~]{0,498}[!-~])?$/.test(line), JSON.stringify(given));
    assertSame(cutText(line), line, "cut twice");
  }
});
