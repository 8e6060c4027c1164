import { assert, assertEquals, assertThrows } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { close } from "../../lib/system/descriptor.ts";
import { openOrCreate } from "../../lib/system/file_call.ts";
import { LibcError } from "../../lib/system/libc.ts";
import "../harness/libc.ts";
import { isOpen } from "../harness/pair.ts";
import { temporary } from "../harness/temporary.ts";

Deno.test("openOrCreate: another process has removed the file of another user", () => {
  using dir = temporary();
  const path = `${dir.path}/entry`;
  const task = openOrCreate(path, false);
  // As for a user who may not write to the file; root may.
  assert(!task.next().done);
  assert(!task.throw(new LibcError("open", E.EACCES)).done);
  const step = task.throw(new LibcError("unlink", E.ENOENT));
  assert(!step.done);
  const fd = step.value.now() as number;
  assertEquals(task.next(fd), { done: true, value: fd });
  close(fd);
  assert(Deno.statSync(path).isFile);
});

Deno.test("openOrCreate: a new file that cannot get its mode is closed", () => {
  using dir = temporary();
  const task = openOrCreate(`${dir.path}/entry`, true);
  assert(!task.next().done);
  const opening = task.throw(new LibcError("open", E.ENOENT));
  assert(!opening.done);
  const fd = opening.value.now() as number;
  assert(!task.next(fd).done);
  const failure = new LibcError("fchmod", E.EIO);
  const closing = task.throw(failure);
  assert(!closing.done);
  closing.value.now();
  assertEquals(isOpen(fd), false);
  assertEquals(assertThrows(() => task.next()), failure);
});
