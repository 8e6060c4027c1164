import { assert, assertEquals } from "@std/assert";
import { LineBuffer, MAX_LINE } from "../../lib/smtp/line_buffer.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const complete = (buffer: LineBuffer, end: Uint8Array) =>
  buffer.complete(end, 0, end.length);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("LineBuffer: a line comes without its line end, in any number of parts", () => {
  const cases: [parts: string[], line: string][] = [
    [["NOOP\r\n"], "NOOP"],
    [["NOOP\n"], "NOOP"],
    [["NOOP\r", "\n"], "NOOP"],
    [["NO", "", "OP", "\r\n"], "NOOP"],
    [["\n"], ""],
    [["\r\n"], ""],
    [["\r", "\n"], ""],
    [["a\rb\r\r\n"], "a\rb\r"],
  ];
  const buffer = new LineBuffer();
  for (const [parts, line] of cases) {
    for (const part of parts.slice(0, -1)) buffer.keep(bytes(part));
    const name = JSON.stringify(parts);
    assertEquals(text(complete(buffer, bytes(parts.at(-1)!))), line, name);
  }
});

Deno.test("LineBuffer: a line may be anywhere in a chunk", () => {
  const chunk = bytes("one\r\ntwo\r\n\n\r\nthree");
  const lines: [start: number, end: number, line: string][] = [
    [0, 5, "one"],
    [5, 10, "two"],
    [10, 11, ""],
    [11, 13, ""],
    // A line of one octet ends at its LF, whatever is in front of it.
    [4, 5, ""],
  ];
  const buffer = new LineBuffer();
  for (const [start, end, line] of lines) {
    assertEquals(text(buffer.complete(chunk, start, end)), line);
  }
  buffer.keep(chunk.subarray(13));
  assertEquals(text(buffer.complete(chunk, 0, 5)), "threeone");
});

Deno.test("LineBuffer: a line keeps its octets while it grows", () => {
  const digits = "0123456789".repeat(400);
  for (const step of [1, 3, 100, 1000, 3999]) {
    const buffer = new LineBuffer();
    for (let at = 0; at < digits.length; at += step) {
      buffer.keep(bytes(digits.slice(at, at + step)));
    }
    assertEquals(text(complete(buffer, bytes("\r\n"))), digits, `by ${step}`);
  }
});

Deno.test("LineBuffer: how far into a chunk a line begins does not matter", () => {
  for (const start of [MAX_LINE - 6, 65_530]) {
    const chunk = bytes("x".repeat(start) + "NOOP\r\n");
    const line = new LineBuffer().complete(chunk, start, chunk.length);
    assertEquals(text(line), "NOOP");
  }
});

Deno.test("LineBuffer: a line that is too long is cut, and only such a line", () => {
  const lengthOf = (size: number, end: string, step: number) => {
    const line = bytes("x".repeat(size - end.length) + end);
    const buffer = new LineBuffer();
    let at = 0;
    for (; at + step < size; at += step) {
      buffer.keep(line.subarray(at, at + step));
    }
    const { length } = complete(buffer, line.subarray(at));
    assertEquals(text(complete(buffer, bytes("next\r\n"))), "next");
    return length;
  };
  for (const step of [1, 127, 128, 129, 4095, 4096, 4097, 99_999]) {
    for (const end of ["\n", "\r\n"]) {
      const name = `${JSON.stringify(end)} by ${step}`;
      const fits = lengthOf(MAX_LINE, end, step);
      assertEquals(fits, MAX_LINE - end.length, name);
      for (const more of [1, 2, MAX_LINE, 50_000]) {
        assertEquals(lengthOf(MAX_LINE + more, end, step), MAX_LINE, name);
      }
    }
  }
});

Deno.test("LineBuffer: unfinished lines are not kept beyond the limit", () => {
  const before = Deno.memoryUsage().external;
  const chunk = new Uint8Array(4096).fill(0x78);
  const many = Array.from({ length: 500 }, () => new LineBuffer());
  for (const one of many) for (let i = 0; i < 50; i++) one.keep(chunk);
  const grown = Deno.memoryUsage().external - before;
  // 500 times 4 KB is 2 MB; all that was sent is 100 MB.
  assert(grown < 20_000_000, `${grown} bytes`);
  assertEquals(complete(many[499], bytes("\n")).length, MAX_LINE);
});
