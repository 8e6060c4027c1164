import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  decodeReply,
  encodeQuery,
  isName,
  MessageError,
} from "../../lib/spf/message.ts";

/** Bytes out of numbers and texts, a character a byte. */
function bytes(...parts: (number | string)[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "number"
        ? [part]
        : Array.from(part, (c) => c.charCodeAt(0))
    ),
  );
}

const QUESTION = [1, "a", 7, "example", 0, 0, 16, 0, 1];
/** A reply to `a.example TXT` with the given flags and answer section. */
function reply(
  flags: number[],
  count: number,
  ...answers: (number | string)[]
) {
  return bytes(
    ...[0x12, 0x34, ...flags, 0, 1, 0, count, 0, 0, 0, 0],
    ...QUESTION,
    ...answers,
  );
}

Deno.test("spf message: a query", () => {
  assertEquals(
    encodeQuery(0x1234, "a.example", "TXT"),
    bytes(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...QUESTION),
  );
});

Deno.test("spf message: names that a query can have", () => {
  const label = "a".repeat(63);
  const longest = `${label}.${label}.${label}.${"a".repeat(61)}`;
  for (const name of ["a.example", "_spf.x", "a/b.example", label, longest]) {
    assert(isName(name), name);
  }
  for (
    const name of [
      "",
      "a..example",
      ".example",
      `${label}a.example`,
      `${longest}a`,
      "a\\046b.example",
      "\xe9.example",
      "a b.example",
    ]
  ) assert(!isName(name), name);
});

Deno.test("spf message: a reply with each type of record", () => {
  const head = [0, 1, 0, 0, 0, 60];
  assertEquals(
    decodeReply(reply(
      [0x85, 0x80],
      5,
      // CNAME, which is left out; its name is a pointer to the question's.
      ...[0xc0, 12, 0, 5, ...head, 0, 2, 0xc0, 14],
      ...[0xc0, 14, 0, 16, ...head, 0, 8, 3, "v=s", 0, 2, "\xffx"],
      ...[0xc0, 14, 0, 15, ...head, 0, 9, 0, 5, 4, "m.\\\xe9", 0xc0, 14],
      ...[0xc0, 14, 0, 1, ...head, 0, 4, 192, 0, 2, 1],
      ...[0xc0, 14, 0, 28, ...head, 0, 16, 0x20, 1, 0xd, 0xb8],
      ...[...Array(11).fill(0), 1],
    )),
    {
      id: 0x1234,
      code: 0,
      authoritative: true,
      truncated: false,
      recursive: true,
      name: "a.example",
      type: 16,
      answers: [
        { type: "TXT", text: "v=s\xffx" },
        { type: "MX", exchange: "m\\046\\092\\233.example" },
        { type: "A", address: { family: 4, value: 0xc0000201n } },
        {
          type: "AAAA",
          address: { family: 6, value: 0x20010db8000000000000000000000001n },
        },
      ],
    },
  );
});

Deno.test("spf message: the header's bits", () => {
  const { code, authoritative, truncated, recursive } = decodeReply(
    reply([0x82, 0x03], 0),
  );
  assertEquals([code, authoritative, truncated, recursive], [
    3,
    false,
    true,
    false,
  ]);
});

Deno.test("spf message: bytes that are no reply are an error", () => {
  const head = [0, 16, 0, 1, 0, 0, 0, 60];
  const cases: [Uint8Array, string][] = [
    [bytes(), "cut short"],
    [bytes(0x12, 0x34, 0x81), "cut short"],
    [encodeQuery(1, "a.example", "A"), "a query"],
    [bytes(0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0), "not one question"],
    [reply([0x81, 0x80], 1), "cut short"],
    // A pointer to itself, one forward, and a label of a reserved kind.
    [reply([0x81, 0x80], 1, 0xc0, 27, ...head, 0, 0), "loops"],
    [reply([0x81, 0x80], 1, 0xc0, 29, ...head, 0, 0), "loops"],
    [reply([0x81, 0x80], 1, 0x80, ...head, 0, 0), "unknown kind"],
    // Two pointers that lead to one another by way of a label.
    [reply([0x81, 0x80], 1, 1, "x", 0xc0, 27, ...head, 0, 0), "loops"],
    // A string, an address and a name longer than their record.
    [reply([0x81, 0x80], 1, 0, ...head, 0, 2, 9, "v"), "cut short"],
    [reply([0x81, 0x80], 1, 0, ...head, 0, 2, 2, "vx"), "wrong length"],
    [
      reply([0x81, 0x80], 1, 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 3, 1, 2, 3, 4),
      "wrong length",
    ],
    [
      reply([0x81, 0x80], 1, ...Array(5).fill([63, "x".repeat(63)]).flat(), 0),
      "too long",
    ],
  ];
  for (const [message, what] of cases) {
    assertThrows(() => decodeReply(message), MessageError, what);
  }
});

Deno.test("spf message: any byte changed gives a reply or a MessageError", () => {
  const good = reply([0x81, 0x80], 1, 0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 4)
    .length;
  const whole = bytes(
    ...reply([0x81, 0x80], 1, 0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 4),
    ...[0, 5, 0xc0, 14],
  );
  decodeReply(whole);
  for (let at = 0; at < good; at++) {
    for (let value = 0; value < 256; value++) {
      const mutated = whole.slice();
      mutated[at] = value;
      try {
        decodeReply(mutated);
      } catch (error) {
        assert(error instanceof MessageError, String(error));
      }
    }
  }
});
