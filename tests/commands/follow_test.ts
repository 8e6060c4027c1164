import { assert, assertEquals, assertThrows } from "@std/assert";
import { FollowedFile } from "../../lib/commands/follow.ts";
import { UsageError } from "../../lib/commands/command.ts";
import { stateOf } from "../../lib/system/statx.ts";
import "../harness/libc.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

const HOUR = 3600;

// The libraries that are opened once stay open; see harness/libc.ts.
stateOf("/", "follow");
const opened = new FollowedFile("/proc/self/stat", { line() {}, warn() {} });
opened.poll();
opened.close();

/**
 * A log, what was read of it, and a way to write to it.
 *
 * @param hours how long ago the log was last written to when it is opened
 */
function followed(dir: string, start = "1\n", hours = 0) {
  const path = `${dir}/current`;
  const append = (text: string, file = path) =>
    Deno.writeTextFileSync(file, text, { append: true });
  /** Gives the file a last write so many hours ago. */
  const age = (hours: number) => {
    const time = Date.now() / 1000 - hours * HOUR;
    Deno.utimeSync(path, time, time);
  };
  append(start);
  age(hours);
  const lines: string[] = [];
  const ages: number[] = [];
  const file = new FollowedFile(path, {
    line(line, written) {
      lines.push(line);
      ages.push(Math.round((Date.now() / 1000 - written) / HOUR));
    },
    warn(message) {
      throw new Error(message);
    },
  });
  const poll = () => {
    lines.length = 0;
    ages.length = 0;
    file.poll();
    return lines.slice();
  };
  return { path, append, poll, file, age, ages };
}

Deno.test("follow: from the beginning, then what is written", () => {
  using dir = temporary();
  const { append, poll, file } = followed(dir.path);
  assertEquals(poll(), ["1"]);
  assertEquals(poll(), []);
  append("2\n3\n4");
  assertEquals(poll(), ["2", "3"]);
  append("4\n");
  assertEquals(poll(), ["44"]);
  file.close();
  assertEquals(descriptors(new RegExp(dir.path)), []);
});

Deno.test("follow: a file that is renamed is read to its end", () => {
  using dir = temporary();
  const { path, append, poll, file } = followed(dir.path);
  poll();
  append("2\n3");
  Deno.renameSync(path, `${dir.path}/@4000`);
  append("4\n", `${dir.path}/@4000`);
  // For a moment there is no file of that name.
  assertEquals(poll(), ["2", "34"]);
  assertEquals(poll(), []);
  append("5\n");
  assertEquals(poll(), ["5"]);
  append("6\n");
  assertEquals(poll(), ["6"]);
  assertEquals(descriptors(new RegExp(dir.path)).length, 1);
  file.close();
});

Deno.test("follow: a rotation between two looks", () => {
  using dir = temporary();
  const { path, append, poll, file } = followed(dir.path);
  append("2\n3");
  Deno.renameSync(path, `${dir.path}/@4000`);
  append("4\n");
  // A line without an end is a line once the file gets no more.
  assertEquals(poll(), ["1", "2", "3", "4"]);
  file.close();
});

Deno.test("follow: a file that is emptied is read anew", () => {
  using dir = temporary();
  const { path, append, poll, file } = followed(dir.path);
  append("2\n");
  assertEquals(poll(), ["1", "2"]);
  Deno.truncateSync(path, 0);
  append("3\n");
  assertEquals(poll(), ["3"]);
  append("4\n");
  assertEquals(poll(), ["4"]);
  file.close();
});

Deno.test("follow: what a file has when it is opened is as old as it", () => {
  using dir = temporary();
  // A line across the end of a piece, and one that is completed later.
  const start = `${"x".repeat(65_530)}\n0\n23456789\n1`;
  const { path, append, poll, file, age, ages } = followed(
    dir.path,
    start,
    50,
  );
  // Written between opening and reading.
  append("\n2\n");
  age(7);
  assertEquals(poll().slice(1), ["0", "23456789", "1", "2"]);
  assertEquals(ages, [50, 50, 50, 0, 0]);
  append("3\n");
  age(7);
  assertEquals([poll(), ages], [["3"], [0]]);
  append("4");
  poll();
  Deno.renameSync(path, `${dir.path}/@4000`);
  append("5\n6");
  age(9);
  assertEquals([poll(), ages], [["4", "5"], [0, 9]]);
  Deno.renameSync(path, `${dir.path}/@4001`);
  append("7\n");
  assertEquals([poll(), ages], [["6", "7"], [9, 0]]);
  file.close();
});

Deno.test("follow: only a regular file, also after a rotation", () => {
  using dir = temporary();
  const fifo = `${dir.path}/fifo`;
  const made = new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
  assert(made.success);
  const refusal = (path: string, kind: string) =>
    `${path}: is ${kind}: expected a regular file (a pipe is read without ` +
    "--follow)";
  const cases = [
    [fifo, "a FIFO"],
    [dir.path, "a directory"],
    ["/dev/null", "a device"],
  ];
  for (const [path, kind] of cases) {
    const { message } = assertThrows(
      () => new FollowedFile(path, { line() {}, warn() {} }),
      UsageError,
    );
    assertEquals(message, refusal(path, kind));
  }
  const { path, poll, file } = followed(dir.path);
  assertEquals(poll(), ["1"]);
  Deno.renameSync(fifo, path);
  const { message } = assertThrows(poll, UsageError);
  assertEquals(message, refusal(path, "a FIFO"));
  file.close();
  assertEquals(descriptors(new RegExp(dir.path)), []);
});

Deno.test("follow: no such file", () => {
  using dir = temporary();
  const error = assertThrows(
    () => new FollowedFile(`${dir.path}/none`, { line() {}, warn() {} }),
    UsageError,
  );
  assert(error.message.endsWith("/none: No such file or directory"));
});
