import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import {
  type IndexDirectory,
  isIndexed,
  makeIndexes,
  type MissingIndex,
  searchFiles,
  searchWhitelist,
} from "../../lib/whitelist/cache.ts";
import { Index } from "../../lib/whitelist/index.ts";
import { buildIndex } from "../../lib/whitelist/index_builder.ts";
import "../harness/libc.ts";
import { run } from "../harness/process.ts";

const FILLED = "198.51.100.0/24\nmx.example\n".repeat(200);

/** Searches, and then makes what indexes were missing. */
async function withIndexes<T>(
  path: string,
  search: (dir: IndexDirectory) => T,
  now: number,
): Promise<T> {
  const indexes: MissingIndex[] = [];
  const found = search({ path, missing: (index) => indexes.push(index) });
  await makeIndexes(indexes, now);
  return found;
}

/** A base directory and a whitelist, gone afterwards. */
class Site {
  readonly #root = Deno.makeTempDirSync();
  readonly base = `${this.#root}/base`;
  readonly file = `${this.#root}/whitelist`;
  /** When a file that is written now has settled, in milliseconds. */
  later = 0;

  constructor() {
    Deno.mkdirSync(this.base);
  }

  write(text: string): void {
    Deno.writeTextFileSync(this.file, text);
    this.later = Date.now() + 10_000;
  }

  /**
   * The line that exempts 192.0.2.1 and the numbers of bad ones before it. Makes the
   * index if it is missing.
   */
  async search(now = this.later) {
    const address = parseAddress("192.0.2.1");
    const client = { address, host: undefined };
    const found = await withIndexes(
      this.base,
      (dir) => searchWhitelist(this.file, dir, client, now),
      now,
    );
    return [found.line, found.bad.map(({ number }) => number)];
  }

  names(): string[] {
    return [...Deno.readDirSync(this.base)].map(({ name }) => name);
  }

  /** The only file in the base directory. */
  get index(): string {
    const [name, ...more] = this.names();
    assertEquals(more, []);
    assertMatch(name, /^\.whitelist-[0-9a-f]{8}$/);
    return `${this.base}/${name}`;
  }

  /** Puts the index of another text in place of this file's. */
  falsify(text: string): void {
    const bytes = Deno.readFileSync(this.index);
    const seal = /"seal":"([^"]*)"/.exec(new TextDecoder().decode(bytes))![1];
    Deno.writeFileSync(this.index, buildIndex(text, seal));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#root, { recursive: true });
  }
}

Deno.test("whitelist cache: an index is made, and searched from then on", async () => {
  using site = new Site();
  site.write(`bad!\n${FILLED}192.0.2.1\nbad!\n`);
  assertEquals(await site.search(), [402, [1]]);
  const { mode, ino } = Deno.statSync(site.index);
  assertEquals(mode! & 0o777, 0o600);
  assertEquals(await site.search(), [402, [1]]);
  assertEquals(Deno.statSync(site.index).ino, ino);
  // Only a search in the index finds this line.
  site.falsify("192.0.2.1\n");
  assertEquals(await site.search(), [1, []]);
});

Deno.test("whitelist cache: a file that changes counts at once", async () => {
  using site = new Site();
  site.write(`${FILLED}192.0.2.1\n`);
  assertEquals(await site.search(), [401, []]);
  site.write(`${FILLED}\n192.0.2.1\n`);
  assertEquals(await site.search(), [402, []]);
  // Each state of the file has an index of its own name.
  assertEquals(site.names().length, 2);
  // Another file in its place, of the same size and age.
  const { mtime } = Deno.statSync(site.file);
  Deno.writeTextFileSync(`${site.file}.new`, `${FILLED}192.0.2.1\n\n`);
  Deno.utimeSync(`${site.file}.new`, mtime!, mtime!);
  Deno.renameSync(`${site.file}.new`, site.file);
  assertEquals(await site.search(), [401, []]);
  assertEquals(site.names().length, 3);
});

Deno.test("whitelist cache: a file that has just changed gets no index", async () => {
  using site = new Site();
  site.write(`${FILLED}192.0.2.1\n`);
  const changed = Deno.statSync(site.file).ctime!.getTime();
  for (const now of [changed, changed + 2000, 0]) {
    assertEquals(await site.search(now), [401, []]);
    assertEquals(site.names(), []);
  }
  await site.search();
  site.index;
});

Deno.test("whitelist cache: a small file has no index", async () => {
  using site = new Site();
  for (const before of [0, 10, 1000]) {
    site.write("#\n".repeat(before) + "192.0.2.1");
    assertEquals(await site.search(), [before + 1, []]);
  }
  assertEquals(site.names(), []);
});

Deno.test("whitelist cache: one process makes it", async () => {
  using site = new Site();
  site.write(`${FILLED}192.0.2.1\n`);
  await site.search();
  const { index } = site;
  Deno.renameSync(index, `${index}.new`);
  // It is being made, so the file is read.
  assertEquals(await site.search(Date.now() + 60_000), [401, []]);
  assertEquals(site.names().length, 1);
  // The process that was making the index is gone.
  assertEquals(await site.search(Date.now() + 700_000), [401, []]);
  assertEquals(site.names(), []);
  assertEquals(await site.search(), [401, []]);
  assertEquals(site.index, index);
  // The clock was ahead when another process began.
  Deno.renameSync(index, `${index}.new`);
  const ahead = Date.now() / 1000 + 86400;
  Deno.utimeSync(`${index}.new`, ahead, ahead);
  assertEquals(await site.search(), [401, []]);
  assertEquals(site.names(), []);
});

Deno.test("whitelist cache: no index can do harm", async () => {
  using site = new Site();
  site.write(`${FILLED}192.0.2.1\n`);
  await site.search();
  const { index } = site;
  const good = Deno.readFileSync(index);
  const parts = new DataView(good.buffer).getUint32(0, true);
  const makers: (() => unknown)[] = [
    () => Deno.writeTextFileSync(index, ""),
    () => Deno.writeFileSync(index, good.subarray(0, 4200)),
    // Table and head are whole, and the parts are missing.
    () => Deno.writeFileSync(index, good.subarray(0, parts)),
    () => Deno.writeFileSync(index, new Uint8Array(10_000)),
    () => Deno.symlinkSync("/dev/zero", index),
    () => Deno.symlinkSync(site.file, index),
    () => run(["mkfifo", index]),
  ];
  for (const make of makers) {
    Deno.removeSync(index);
    await make();
    assertEquals(await site.search(), [401, []]);
    // The index was replaced.
    assertEquals(Deno.lstatSync(index).isFile, true);
    assertEquals(Deno.readFileSync(index), good);
  }
  Deno.removeSync(index);
  Deno.mkdirSync(index);
  assertEquals(await site.search(), [401, []]);
  assertEquals(site.names().length, 1);
});

Deno.test("whitelist cache: without a base directory the file is read", async () => {
  using site = new Site();
  site.write(`${FILLED}192.0.2.1\n`);
  Deno.removeSync(site.base);
  assertEquals(await site.search(), [401, []]);
});

Deno.test("whitelist cache: the files are read if the directory does not answer", () => {
  using site = new Site();
  site.write(`${FILLED}192.0.2.1\nbad!\n`);
  const client = { address: parseAddress("192.0.2.1"), host: undefined };
  assertEquals(searchWhitelist(site.file, undefined, client, site.later), {
    line: 401,
    bad: [],
  });
  const warn = { unreadable() {}, bad() {} };
  const paths = [site.file];
  const found = searchFiles(paths, undefined, client, warn, site.later);
  assertEquals(found, site.file);
});

Deno.test("whitelist cache: which files need the base directory", () => {
  using site = new Site();
  assertEquals(isIndexed(site.file), false, "there is none");
  assertEquals(isIndexed("/proc"), false);
  for (const [size, expected] of [[2047, false], [2048, true]] as const) {
    site.write("#".repeat(size));
    assertEquals(isIndexed(site.file), expected, `${size}`);
  }
  // On some file systems the size of a directory is the space that its names take.
  for (let i = 0; i < 500; i++) Deno.mkdirSync(`${site.base}/${i}`);
  assertEquals(isIndexed(site.base), false);
});

Deno.test("whitelist cache: a path that is no readable file is an error", async () => {
  using site = new Site();
  await assertRejects(() => site.search(), Deno.errors.NotFound);
  Deno.mkdirSync(site.file);
  await assertRejects(() => site.search(), Error, "expected a regular file");
  assertEquals(site.names(), []);
});

Deno.test("whitelist cache: the seal has the path in it", async () => {
  using site = new Site();
  site.write(`${FILLED}192.0.2.1\n`);
  await site.search();
  const bytes = Deno.readFileSync(site.index);
  const read = (offset: number, length: number) =>
    bytes.subarray(offset, offset + length);
  const { dev, ino, size, mtime, ctime } = Deno.statSync(site.file);
  const times = [mtime!.getTime(), ctime!.getTime()];
  const state = ["4 l", dev, ino, size, ...times].join(" ");
  const nobody = { address: undefined, host: undefined };
  const none = { line: undefined, bad: [] };
  assertEquals(Index.open(read, `${state} ${site.file}`)?.search(nobody), none);
  assertEquals(Index.open(read, `${state} /other`), undefined);
  // One that another version of the program made.
  const other = `2${state.slice(1)} ${site.file}`;
  assertEquals(Index.open(read, other), undefined);
  // One made where expressions cannot be used.
  const without = `${state.replace("4 l", "4 -")} ${site.file}`;
  assertEquals(Index.open(read, without), undefined);
});

/** Makes a symbolic link name another file. */
function pointTo(link: string, file: string): void {
  Deno.symlinkSync(file, `${link}.new`);
  Deno.renameSync(`${link}.new`, link);
}

Deno.test("whitelist cache: a link that changes meanwhile gets no index", async () => {
  using site = new Site();
  site.write(`${FILLED}192.0.2.1\n`);
  const [good, other] = [`${site.file}-good`, `${site.file}-other`];
  Deno.renameSync(site.file, good);
  Deno.writeTextFileSync(other, FILLED);
  pointTo(site.file, good);
  const client = { address: parseAddress("192.0.2.1"), host: undefined };
  const now = Date.now() + 60_000;

  const missing: MissingIndex[] = [];
  const dir = {
    path: site.base,
    missing: (index: MissingIndex) => void missing.push(index),
  };
  assertEquals(searchWhitelist(site.file, dir, client, now).line, 401);
  assertEquals(missing.length, 1);
  pointTo(site.file, other);
  await makeIndexes(missing, now);
  assertEquals(site.names(), []);
  pointTo(site.file, good);
  assertEquals(await site.search(now), [401, []]);
  assertEquals(site.names().length, 1);

  // Of several files, all are looked at before the first of them is read.
  missing.length = 0;
  const paths = [site.file, `${site.file}-none`];
  const find = (unreadable: () => void) =>
    searchFiles(paths, dir, client, { unreadable, bad() {} }, now);
  assertEquals(find(() => pointTo(site.file, other)), undefined);
  assertEquals(missing.length, 0);
  pointTo(site.file, good);
  assertEquals(find(() => {}), site.file);
  assertEquals(missing.length, 1);
});

Deno.test("whitelist cache: several files in one index", async () => {
  const dir = Deno.makeTempDirSync({ prefix: "greylist-cache-" });
  try {
    const paths = ["a", "b", "none", "c"].map((name) => `${dir}/${name}`);
    const texts: Record<string, string> = {
      a: "192.0.2.0/24\nbad line\n",
      b: "# comment\n203.0.113.7\n192.0.2.9\n",
      c: "203.0.113.0/24\n.example.org\n/^mx[0-9]/\nbad\u0021\n",
    };
    for (const [name, text] of Object.entries(texts)) {
      Deno.writeTextFileSync(`${dir}/${name}`, text);
    }
    const written = Deno.statSync(paths[3]).ctime!.getTime();
    /** The name of the file, and what was said. */
    const find = async (ip: string, host?: string, later = 60_000) => {
      const said: string[] = [];
      const client = { address: parseAddress(ip), host };
      const now = written + later;
      const search = (dir: IndexDirectory) =>
        searchFiles(paths, dir, client, {
          unreadable: (path) => said.push(`${path.at(-1)} unreadable`),
          bad: (path, lines) =>
            lines.forEach(({ number, content }) =>
              said.push(`${path.at(-1)}:${number} ${content}`)
            ),
        }, now);
      const path = await withIndexes(dir, search, now);
      return [path?.slice(dir.length + 1), ...said];
    };
    const gone = "e unreadable";
    // Files that have just changed are searched without an index, then with one.
    for (const later of [0, 60_000, 60_000]) {
      assertEquals(await find("192.0.2.9", undefined, later), ["a", gone]);
      assertEquals(await find("203.0.113.7", undefined, later), [
        "b",
        gone,
        "a:2 bad line",
      ]);
      assertEquals((await find("203.0.113.8", undefined, later)).slice(0, 3), [
        "c",
        gone,
        "a:2 bad line",
      ]);
      assertEquals((await find("10.0.0.1", "a.example.org", later))[0], "c");
      assertEquals((await find("10.0.0.1", "mx1.example", later))[0], "c");
      assertEquals(await find("10.0.0.1", undefined, later), [
        undefined,
        gone,
        "a:2 bad line",
        "c:4 bad!",
      ]);
      const kept = [...Deno.readDirSync(dir)].filter(({ name }) =>
        name.startsWith(".whitelist-")
      );
      assertEquals(kept.length, later === 0 ? 0 : 1);
    }
    // A change in any of them counts.
    Deno.writeTextFileSync(paths[2], "192.0.2.0/24\n10.0.0.1\n");
    Deno.removeSync(paths[0]);
    assertEquals((await find("10.0.0.1"))[0], "none");
    assertEquals((await find("192.0.2.9"))[0], "b");
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("whitelist cache: of several files, one that cannot be read is none", async () => {
  const dir = Deno.makeTempDirSync({ prefix: "greylist-cache-" });
  try {
    const good = `${dir}/good`;
    Deno.writeTextFileSync(good, "192.0.2.0/24\n");
    // A regular file of which nobody can read the beginning: EIO.
    const broken = "/proc/self/mem";
    assertEquals(Deno.statSync(broken).isFile, true);
    const said: string[] = [];
    const client = { address: parseAddress("192.0.2.9"), host: undefined };
    const now = Date.now() + 60_000;
    const search = (dir: IndexDirectory) =>
      searchFiles([broken, good], dir, client, {
        unreadable: (path) => said.push(path),
        bad: () => said.push("bad"),
      }, now);
    assertEquals(await withIndexes(dir, search, now), good);
    assertEquals(await withIndexes(dir, search, now), good);
    assertEquals(said, [broken, broken]);
    const names = Array.from(Deno.readDirSync(dir), ({ name }) => name);
    assertEquals(names, ["good"]);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
