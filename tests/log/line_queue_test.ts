import { assert, assertEquals } from "@std/assert";
import { LineQueue } from "../../lib/log/line_queue.ts";
import { lookAt } from "../../lib/system/file_call.ts";
import "../harness/libc.ts";
import { waitFor } from "../harness/process.ts";
import { standStill } from "../harness/still.ts";

const tellLost = (count: number) => `lost=${count}\n`;
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A log that writes when the test lets it, with the result that it names. */
function stalling(room?: number) {
  const written: string[] = [];
  let release: (result: number | Error) => void = () => {};
  const queue = new LineQueue(
    (bytes) =>
      new Promise((resolve, reject) => {
        release = (result) => {
          if (result instanceof Error) return reject(result);
          written.push(decode(bytes.subarray(0, result)));
          resolve(Math.min(result, bytes.length));
        };
      }),
    tellLost,
    room,
  );
  const go = async (result: number | Error = Infinity) => {
    await Promise.resolve();
    release(result);
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return { queue, written, go };
}

Deno.test("LineQueue: lines of one round are one piece, in their order", async () => {
  const { queue, written, go } = stalling();
  queue.push("a\n");
  queue.push("b\n");
  await go();
  queue.push("c\n");
  await go();
  assertEquals(written, ["a\nb\n", "c\n"]);
});

Deno.test("LineQueue: a partial write is continued", async () => {
  const { queue, written, go } = stalling();
  queue.push("abc\n");
  await go(2);
  await go();
  assertEquals(written, ["ab", "c\n"]);
});

Deno.test("LineQueue: lines that do not fit are counted and reported", async () => {
  const { queue, written, go } = stalling(10);
  queue.push("1234567\n");
  await Promise.resolve();
  queue.push("abcdefg\n");
  for (let i = 0; i < 5; i++) queue.push("too many\n");
  await go();
  await go();
  assertEquals(written, ["1234567\n", "abcdefg\nlost=5\n"]);
});

Deno.test("LineQueue: after an error the next line reports the lost ones", async () => {
  const { queue, written, go } = stalling();
  queue.push("a\n");
  queue.push("b\n");
  await go(new Error("No space left on device"));
  assertEquals(written, []);
  queue.push("c\n");
  await go();
  assertEquals(written, ["c\nlost=2\n"]);
});

Deno.test("LineQueue: half a line that a full disk took is ended, and counts as lost", async () => {
  const { queue, written, go } = stalling();
  queue.push("a\n");
  queue.push("bcd\n");
  queue.push("e\n");
  await go(4);
  await go(0);
  assertEquals(written.join(""), "a\nbc");
  queue.push("f\n");
  // Nothing at first; then no more than the end of the half.
  await go(0);
  queue.push("g\n");
  await go(1);
  await go(0);
  queue.push("h\n");
  await go();
  assertEquals(written.join(""), "a\nbc\nh\nlost=4\n");
});

Deno.test("LineQueue: behind half a line the whole lines are counted", async () => {
  const { queue, written, go } = stalling();
  queue.push("ab\n");
  await go(1);
  await go(0);
  queue.push("c\n");
  queue.push("def\n");
  await go("\nc\nd".length);
  await go(0);
  queue.push("g\n");
  await go();
  assertEquals(written.join(""), "a\nc\nd\ng\nlost=2\n");
});

Deno.test("LineQueue: of a log that is always busy, since when one write lasts", async () => {
  const { queue, go } = stalling();
  assertEquals(queue.busySince, Infinity);
  const before = performance.now();
  queue.push("a\n");
  assert(queue.busySince >= before);
  await Promise.resolve();
  const first = queue.busySince;
  assert(first >= before && first <= performance.now());
  queue.push("b\n");
  await waitFor("another time", () => performance.now() > first);
  assertEquals(queue.busySince, first);
  // The next write begins at once.
  await go();
  assert(queue.busySince > first && queue.busySince <= performance.now());
  await go();
  assertEquals(queue.busySince, Infinity);
});

Deno.test("LineQueue: lines that were lost elsewhere are reported", async () => {
  const { queue, written, go } = stalling();
  queue.lose(0);
  await go();
  assertEquals(queue.busySince, Infinity);
  queue.lose(2);
  await go();
  assertEquals(written, ["lost=2\n"]);
});

Deno.test("LineQueue: it goes on after an error for which no line fits any more", async () => {
  const { queue, written, go } = stalling(10);
  queue.push("1234567\n");
  await Promise.resolve();
  queue.push("abcdefg\n");
  await go(new Error("Input/output error"));
  queue.push("hello\n");
  await go();
  assertEquals(written, ["abcdefg\nlost=2\n"]);
  queue.push("again\n");
  await go();
  assertEquals(written.at(-1), "again\n");
});

Deno.test("LineQueue: the end waits for the pending write, and makes one more try", async () => {
  const { queue, written, go } = stalling();
  let rest: number | undefined;
  queue.push("a\n");
  await Promise.resolve();
  queue.push("b\n");
  queue.end().then((lost) => rest = lost);
  await go(new Error("No space left on device"));
  assertEquals([written, rest], [[], undefined]);
  await go();
  assertEquals([written, rest], [["b\nlost=1\n"], 0]);
});

Deno.test("LineQueue: the end says how many lines nothing has reported", async () => {
  const { queue, go } = stalling();
  queue.push("a\n");
  const ended = queue.end();
  await go(0);
  await go(0);
  assertEquals(await ended, 1);
});

/** A test; the thread that keeps the time may end a part of the limit later. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false });
}

test("LineQueue: flush waits for the pending write, but not for ever", async () => {
  const { queue, written, go } = stalling();
  await queue.flush(60_000);
  queue.push("a\n");
  const flushed = queue.flush(60_000);
  await go();
  await flushed;
  assertEquals(written, ["a\n"]);
  queue.push("b\n");
  await queue.flush(1);
  assertEquals(written, ["a\n"]);
});

test("LineQueue: flush waits though this process did not run for as long", async () => {
  const written: string[] = [];
  const queue = new LineQueue(async (bytes) => {
    // As many calls in another thread as a write may take.
    for (let i = 0; i < 4; i++) await lookAt("/").later();
    written.push(decode(bytes));
    return bytes.length;
  }, tellLost);
  queue.push("a\n");
  const flushed = queue.flush(1000);
  standStill(1200);
  await flushed;
  assertEquals(written, ["a\n"]);
});
