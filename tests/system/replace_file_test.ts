import { assert, assertEquals, assertRejects } from "@std/assert";
import { E } from "../../lib/system/constants.ts";
import { type FileTask, runLater, runNow } from "../../lib/system/file_task.ts";
import { isErrno } from "../../lib/system/libc.ts";
import { replaceFile } from "../../lib/system/replace_file.ts";
import { existingState } from "../../lib/system/statx.ts";
import { encode } from "../../lib/system/utf8.ts";
import "../harness/libc.ts";
import { temporary } from "../harness/temporary.ts";

type Run = (task: FileTask<void>) => void | Promise<void>;

const FORMS: Record<string, Run> = {
  "in this thread": runNow,
  "in another thread": runLater,
};

for (const [form, run] of Object.entries(FORMS)) {
  Deno.test(`replaceFile: whole or not at all, ${form}`, async () => {
    using dir = temporary();
    const path = `${dir.path}/file`, fresh = `${path}.new`;
    const names = () => [...Deno.readDirSync(dir.path)].map(({ name }) => name);
    const replace = async (content: () => Uint8Array<ArrayBuffer>) =>
      await run(replaceFile(path, fresh, 0o640, content));
    await replace(() => encode("one"));
    assertEquals(Deno.readTextFileSync(path), "one");
    assertEquals(Deno.statSync(path).mode! & 0o7777, 0o640 & ~Deno.umask());
    // With the old file, mode and owner stay, whatever the mode until then.
    Deno.chmodSync(path, 0o604);
    const old = existingState(path);
    await run(replaceFile(path, fresh, 0o600, () => encode("one"), old));
    assertEquals(Deno.statSync(path).mode! & 0o7777, 0o604);
    // The old one stays until the new one is complete.
    await replace(() => {
      assertEquals(Deno.readTextFileSync(path), "one");
      assertEquals(Deno.statSync(fresh).size, 0);
      return encode("x".repeat(1_000_000));
    });
    assertEquals(Deno.statSync(path).size, 1_000_000);
    const failing = () => {
      throw new Error("no content");
    };
    await assertRejects(() => replace(failing), Error, "no content");
    assertEquals(Deno.statSync(path).size, 1_000_000);
    assertEquals(names(), ["file"]);
    // Another process is replacing the file: its temporary file stays.
    Deno.writeTextFileSync(fresh, "other");
    const error = await assertRejects(() => replace(() => encode("two")));
    assert(isErrno(error, E.EEXIST));
    assertEquals(Deno.readTextFileSync(fresh), "other");
    assertEquals(Deno.statSync(path).size, 1_000_000);
    // A directory cannot be replaced by a file.
    Deno.removeSync(fresh);
    Deno.removeSync(path);
    Deno.mkdirSync(path);
    const refused = await assertRejects(() => replace(() => encode("two")));
    assert(isErrno(refused, E.EISDIR));
    assertEquals(names(), ["file"]);
  });
}
