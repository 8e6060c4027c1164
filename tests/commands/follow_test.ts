import { assert, assertEquals, assertThrows } from "@std/assert";
import { FollowedFile } from "../../lib/commands/follow.ts";
import { UsageError } from "../../lib/commands/command.ts";
import { stateOf } from "../../lib/system/statx.ts";
import "../harness/libc.ts";
import { descriptors, temporary } from "../harness/temporary.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
stateOf("/", "follow");
new FollowedFile("/dev/null", () => {}).poll();

/** A log, what was read of it, and a way to write to it. */
function followed(dir: string) {
  const path = `${dir}/current`;
  const append = (text: string, file = path) =>
    Deno.writeTextFileSync(file, text, { append: true });
  append("1\n");
  const lines: string[] = [];
  const file = new FollowedFile(path, (line) => lines.push(line));
  const poll = () => {
    lines.length = 0;
    file.poll();
    return lines.slice();
  };
  return { path, append, poll, file };
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

Deno.test("follow: no such file", () => {
  using dir = temporary();
  const error = assertThrows(
    () => new FollowedFile(`${dir.path}/none`, () => {}),
    UsageError,
  );
  assert(error.message.endsWith("/none: No such file or directory"));
});
