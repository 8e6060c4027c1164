import { assert, assertEquals, assertThrows } from "@std/assert";
import { Directory } from "../lib/directory.ts";
import { LibcError } from "../lib/libc.ts";
import { makeEntry } from "./harness/entry.ts";
import "./harness/libc.ts";
import { emptyDir, writeFile } from "./harness/root.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
new Directory("/").close();

/** All names from here on but `.` and `..`. */
function rest(directory: Directory): string[] {
  const names: string[] = [];
  let name: string | undefined;
  while ((name = directory.next()) !== undefined) {
    if (name !== "." && name !== "..") names.push(name);
  }
  return names;
}

/** Goes to a name. */
function goTo(directory: Directory, name: string): Directory {
  directory.seek(0n);
  let found: string | undefined;
  while ((found = directory.next()) !== name) {
    if (found === undefined) throw new Error(`${name}: not there`);
  }
  return directory;
}

function within<T>(path: string, look: (directory: Directory) => T): T {
  const directory = new Directory(path);
  try {
    return look(directory);
  } finally {
    directory.close();
  }
}

Deno.test("directory: every name once, however many buffers it takes", () => {
  const dir = emptyDir("directory");
  assertEquals(within(dir, rest), []);
  const names: string[] = [];
  for (let i = 0; i < 5000; i++) {
    // Names of every length up to the longest.
    const name = `${i}`.padEnd(4 + i % 252, "x");
    names.push(name);
    writeFile(`directory/${name}`, "");
  }
  assertEquals(within(dir, rest).sort(), names.sort());
});

Deno.test("directory: what a name is", () => {
  const dir = emptyDir("directory");
  writeFile("directory/ünï\u202ecode", "");
  within(dir, (directory) => {
    let name: string | undefined;
    while ((name = directory.next()) !== undefined && name.startsWith("."));
    assertEquals(directory.name, "ünï\u202ecode");
    // Places in the buffer are counted in bytes, so this is not the name.
    assertEquals(name?.length, new TextEncoder().encode(directory.name).length);
  });
});

Deno.test("directory: what is under a name", () => {
  const dir = emptyDir("directory");
  const mtime = 1_700_000_000;
  for (const seconds of [mtime, 0, -86400, 2 ** 31 + 5, 2 ** 33]) {
    writeFile("directory/file", "12345");
    Deno.utimeSync(`${dir}/file`, seconds, seconds);
    const state = within(dir, (directory) => goTo(directory, "file").stat());
    const info = Deno.lstatSync(`${dir}/file`);
    assertEquals(state, {
      isFile: true,
      size: 5,
      // As far as the file system can keep it. Deno itself drops a minus.
      mtime: seconds < 0 ? seconds : info.mtime!.getTime() / 1000,
      birth: state?.birth,
    });
  }
  const birth = Deno.lstatSync(`${dir}/file`).birthtime?.getTime();
  const state = within(dir, (directory) => goTo(directory, "file").stat());
  assertEquals(state?.birth && Math.floor(state.birth * 1000), birth);
});

Deno.test("directory: a size past 32 bits", () => {
  const dir = emptyDir("directory");
  writeFile("directory/file", "");
  Deno.truncateSync(`${dir}/file`, 2 ** 32 + 7);
  assertEquals(
    within(dir, (directory) => goTo(directory, "file").stat())?.size,
    2 ** 32 + 7,
  );
});

Deno.test("directory: what is no regular file, and what is not there", () => {
  const dir = emptyDir("directory");
  writeFile("directory/file", "12345");
  Deno.mkdirSync(`${dir}/sub`);
  Deno.symlinkSync("file", `${dir}/link`);
  within(dir, (directory) => {
    assertEquals(goTo(directory, "sub").stat()?.isFile, false);
    assertEquals(goTo(directory, "link").stat()?.isFile, false);
    assertEquals(goTo(directory, "file").stat()?.isFile, true);
    Deno.removeSync(`${dir}/file`);
    assertEquals(directory.stat(), undefined);
  });
});

Deno.test("directory: the current name is the one that is looked at", () => {
  const dir = emptyDir("directory");
  for (let i = 1; i <= 20; i++) makeEntry(`${i}`, i, 0, dir);
  within(dir, (directory) => {
    let name: string | undefined;
    while ((name = directory.next()) !== undefined) {
      if (name.startsWith(".")) continue;
      assertEquals(directory.stat()?.size, Number(name));
      assertEquals(directory.name, name);
    }
  });
});

Deno.test("directory: it goes on at a place from before", () => {
  const dir = emptyDir("directory");
  for (let i = 0; i < 3000; i++) writeFile(`directory/${i}`, "");
  const all = within(dir, rest);
  for (const after of [0, 1, 1500, 2999]) {
    const place = within(dir, (directory) => {
      let seen = -1;
      while (seen < after) {
        if (!directory.next()!.startsWith(".")) seen++;
      }
      return directory.position;
    });
    const found = within(dir, (directory) => {
      directory.next();
      directory.seek(place);
      return rest(directory);
    });
    assertEquals(found, all.slice(after + 1));
  }
  const again = within(dir, (directory) => {
    rest(directory);
    directory.seek(0n);
    return rest(directory);
  });
  assertEquals(again, all);
});

Deno.test("directory: names may be removed while they are read", () => {
  const dir = emptyDir("directory");
  for (let i = 0; i < 3000; i++) writeFile(`directory/${i}`, "");
  within(dir, (directory) => {
    let removed = 0;
    let name: string | undefined;
    while ((name = directory.next()) !== undefined) {
      if (name.startsWith(".")) continue;
      assert(directory.remove());
      assert(!directory.remove());
      assertEquals(directory.stat(), undefined);
      removed++;
    }
    assertEquals(removed, 3000);
  });
  assertEquals([...Deno.readDirSync(dir)], []);
});

Deno.test("directory: errors have the call and the reason", () => {
  const dir = emptyDir("directory");
  const file = writeFile("directory/file", "");
  Deno.mkdirSync(`${dir}/sub`);
  const fails = (call: () => unknown, message: string) =>
    assertThrows(call, LibcError, message);
  fails(() => new Directory(`${dir}/none`), "open: No such file or directory");
  fails(() => new Directory(file), "open: Not a directory");
  within(dir, (directory) => {
    goTo(directory, "sub");
    fails(() => directory.remove(), "unlink: Is a directory");
    fails(() => directory.seek(-1n), "lseek: Invalid argument");
  });
});
