import { assert, assertEquals, assertThrows } from "@std/assert";
import { Directory } from "../../lib/system/directory.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { makeEntry } from "../harness/entry.ts";
import "../harness/libc.ts";
import { emptyDir, writeFile } from "../harness/root.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
new Directory("/").close();

/** What is told of one name. */
type Told =
  | { name: string; size: number; mtime: number; birth: number | undefined }
  | { name: string; is: "other" | "failed" };

/** What a test decides on the way. */
interface Way {
  /** Called before a name is looked at; false passes it over. */
  before?: (name: string, directory: Directory) => boolean | void;
  /** Called for each regular file; true stops there. */
  at?: (name: string) => boolean | void;
}

/** The visits of all names from here on but `.` and `..`. */
function tour(directory: Directory, { before, at }: Way = {}): Told[] {
  const told: Told[] = [];
  let current = "";
  directory.visit({
    wanted(name) {
      current = name;
      if (name === "." || name === "..") return false;
      return before?.(name, directory) ?? true;
    },
    file(name, size, mtime, birth) {
      assertEquals(name, current);
      told.push({ name, size, mtime, birth });
      return at?.(name) ?? false;
    },
    other: () => told.push({ name: directory.name, is: "other" }),
    failed: () => told.push({ name: directory.name, is: "failed" }),
  });
  return told;
}

/** All names from here on but `.` and `..`. */
function rest(directory: Directory): string[] {
  return tour(directory).map(({ name }) => name);
}

/** What is told of one name. */
function look(dir: string, name: string): Told | undefined {
  const before = (found: string) => found === name;
  return within(dir, (directory) => tour(directory, { before }))[0];
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

Deno.test("directory: a name of more bytes than characters", () => {
  const dir = emptyDir("directory");
  const name = "ünï\u202ecode";
  writeFile(`directory/${name}`, "");
  within(dir, (directory) => {
    const [{ name: told }] = tour(directory, {
      before: () => assertEquals(directory.name, name),
    });
    // Places in the buffer are counted in bytes, so this is not the name.
    assertEquals(told.length, new TextEncoder().encode(name).length);
  });
});

Deno.test("directory: size and times of a file", () => {
  const dir = emptyDir("directory");
  const mtime = 1_700_000_000;
  for (const seconds of [mtime, 0, -86400, 2 ** 31 + 5, 2 ** 33]) {
    writeFile("directory/file", "12345");
    Deno.utimeSync(`${dir}/file`, seconds, seconds);
    const told = look(dir, "file");
    const info = Deno.lstatSync(`${dir}/file`);
    assert(told && "birth" in told);
    assertEquals(told, {
      name: "file",
      size: 5,
      // As far as the file system can keep it. Deno itself drops a minus.
      mtime: seconds < 0 ? seconds : info.mtime!.getTime() / 1000,
      birth: told.birth,
    });
    const birth = told.birth && Math.floor(told.birth * 1000);
    assertEquals(birth, info.birthtime?.getTime());
  }
});

Deno.test("directory: a size past 32 bits", () => {
  const dir = emptyDir("directory");
  writeFile("directory/file", "");
  Deno.truncateSync(`${dir}/file`, 2 ** 32 + 7);
  const told = look(dir, "file");
  assertEquals(told && "size" in told && told.size, 2 ** 32 + 7);
});

Deno.test("directory: other kinds of files, and missing ones", () => {
  const dir = emptyDir("directory");
  writeFile("directory/file", "12345");
  writeFile("directory/gone", "");
  Deno.mkdirSync(`${dir}/sub`);
  Deno.symlinkSync("file", `${dir}/link`);
  const told = within(dir, (directory) =>
    tour(directory, {
      before(name) {
        if (name === "gone") Deno.removeSync(`${dir}/gone`);
      },
    }));
  const kinds = told.map((told) =>
    `${told.name} ${"is" in told ? told.is : told.size}`
  );
  assertEquals(kinds.sort(), ["file 5", "link other", "sub other"]);
});

Deno.test("directory: a visit stops when told to, and the next one goes on there", () => {
  const dir = emptyDir("directory");
  for (let i = 0; i < 3000; i++) makeEntry(`${i}`, i, 0, dir);
  const all = within(dir, rest);
  assertEquals(all.length, 3000);
  for (const after of [0, 1, 1500, 2999]) {
    const at = (name: string) => name === all[after];
    within(dir, (directory) => {
      assertEquals(
        tour(directory, { at }).map(({ name }) => name),
        all.slice(0, after + 1),
      );
      const { position } = directory;
      assertEquals(rest(directory), all.slice(after + 1));
      directory.seek(position);
      assertEquals(rest(directory), all.slice(after + 1));
      const other = within(dir, (directory) => {
        directory.seek(position);
        return rest(directory);
      });
      assertEquals(other, all.slice(after + 1));
      directory.seek(0n);
      assertEquals(rest(directory), all);
    });
  }
});

Deno.test("directory: names may be removed while they are read", () => {
  const dir = emptyDir("directory");
  for (let i = 0; i < 3000; i++) writeFile(`directory/${i}`, "");
  within(dir, (directory) => {
    let removed = 0;
    tour(directory, {
      at() {
        assert(directory.remove());
        assert(!directory.remove());
        removed++;
      },
    });
    assertEquals(removed, 3000);
  });
  assertEquals([...Deno.readDirSync(dir)], []);
});

Deno.test("directory: an error of the visitor is thrown", () => {
  const dir = emptyDir("directory");
  writeFile("directory/file", "");
  const at = () => {
    throw new Error("no more");
  };
  within(dir, (directory) => {
    assertThrows(() => tour(directory, { at }), Error, "no more");
  });
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
    tour(directory, {
      before(name) {
        if (name !== "sub") return;
        fails(() => directory.remove(), "unlink: Is a directory");
      },
    });
    fails(() => directory.seek(-1n), "lseek: Invalid argument");
  });
});
