import { assertEquals, assertThrows } from "@std/assert";
import {
  HANDOVER_VARIABLE,
  takeHandover,
  writeHandover,
} from "../../lib/serve/handover.ts";
import { close } from "../../lib/system/descriptor.ts";
import { rewrite } from "../../lib/system/file.ts";
import { listenOn } from "../../lib/system/listener.ts";
import { memoryFile } from "../../lib/system/memory_file.ts";
import "../harness/libc.ts";
import { isOpen } from "../harness/pair.ts";

const LOOPBACK = {
  address: { family: 4, value: 0x7f000001n },
  port: 0,
} as const;

const PROGRAMS = [
  [4711, {
    client: { ip: "192.0.2.1", net: "@pool" },
    network: "192.0.2.0/24",
  }],
  [4712, { client: { ip: "192.0.2.2" }, network: "192.0.2.2" }],
] as const;

/** Puts a hand-over into the environment, as execve(2) does. */
function hand(value: string): void {
  Deno.env.set(HANDOVER_VARIABLE, value);
}

Deno.test("a hand-over arrives whole, and is gone from the environment", () => {
  const listeners = [listenOn(LOOPBACK, 1), listenOn(LOOPBACK, 1)];
  try {
    for (const again of [false, true]) {
      const { variables, file } = writeHandover(
        { programs: PROGRAMS, again, own: [listeners[1]], path: "/x/greylist" },
        listeners,
      );
      hand(variables[HANDOVER_VARIABLE]);
      const taken = takeHandover()!;
      assertEquals(taken.listeners.map(({ fd }) => fd), listeners);
      assertEquals(taken.own, [listeners[1]]);
      assertEquals(taken.programs, PROGRAMS);
      assertEquals([taken.again, taken.problem], [again, undefined]);
      assertEquals(taken.path, "/x/greylist");
      assertEquals(Deno.env.get(HANDOVER_VARIABLE), undefined);
      assertEquals(isOpen(file), false);
      assertEquals(takeHandover(), undefined);
    }
  } finally {
    listeners.forEach(close);
  }
});

Deno.test("a hand-over to another process, or none at all, is not taken", () => {
  const own = Deno.pid;
  for (
    const value of [
      `${own + 1} 3 4`,
      "",
      "check 1",
      `${own}`,
      `${own} 3`,
      `${own} 3 `,
      `${own} x 4`,
      `${own} 3 4,`,
      ` ${own} 3 4`,
    ]
  ) {
    hand(value);
    assertEquals(takeHandover(), undefined, value);
    assertEquals(Deno.env.get(HANDOVER_VARIABLE), undefined);
  }
});

Deno.test("a hand-over of an older version is understood", () => {
  const listener = listenOn(LOOPBACK, 1);
  try {
    const file = memoryFile("test");
    const text = JSON.stringify({ version: 1, programs: [], again: true });
    rewrite(file, new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>);
    hand(`${Deno.pid} ${file} ${listener}`);
    const { again, own, path, problem } = takeHandover()!;
    assertEquals([again, own, path, problem], [true, [], undefined, undefined]);
  } finally {
    close(listener);
  }
});

Deno.test("a hand-over in another form leaves the sockets, and says why", () => {
  const listener = listenOn(LOOPBACK, 1);
  try {
    for (const text of ['{"version":2,"programs":[]}', "", "x", "[]"]) {
      const file = memoryFile("test");
      rewrite(file, new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>);
      hand(`${Deno.pid} ${file} ${listener}`);
      const taken = takeHandover()!;
      assertEquals(taken.listeners.map(({ fd }) => fd), [listener]);
      assertEquals([taken.programs, taken.again], [[], false]);
      assertEquals(typeof taken.problem, "string", text);
      assertEquals(isOpen(file), false);
    }
    hand(`${Deno.pid} 999999 ${listener}`);
    assertEquals(takeHandover()!.problem, "read: Bad file descriptor");
  } finally {
    close(listener);
  }
});

Deno.test("a hand-over of what is no listening socket is an error", () => {
  const file = memoryFile("test");
  try {
    hand(`${Deno.pid} ${file} ${file}`);
    const expected = `descriptor ${file}: expected a listening TCP socket`;
    assertThrows(takeHandover, Error, expected);
  } finally {
    close(file);
  }
});
