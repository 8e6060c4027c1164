import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatNetwork } from "../../../lib/address.ts";
import { cqgreylist } from "../../../lib/store/import/cqgreylist.ts";
import {
  type DirectoryFormat,
  readDirectory,
} from "../../../lib/store/import/directory.ts";
import { jgreylist } from "../../../lib/store/import/jgreylist.ts";
import { qgreylist } from "../../../lib/store/import/qgreylist.ts";
import { Directory } from "../../../lib/system/directory.ts";
import "../../harness/libc.ts";
import { descriptors, temporary } from "../../harness/temporary.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
new Directory("/").close();

/** Makes an empty file, and the directories above it. */
function make(dir: string, path: string, mtime = 1000, atime = mtime): void {
  const file = `${dir}/${path}`;
  Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
  Deno.writeFileSync(file, new Uint8Array());
  Deno.utimeSync(file, atime, mtime);
}

function read(dir: string, format: DirectoryFormat) {
  const rows: Record<string, [number, number | undefined, number]> = {};
  const foreign: string[] = [];
  const kept = readDirectory(dir, format, {
    found: ({ network, firstSeen, lastAccepted, accepted }) => {
      rows[formatNetwork(network)] = [firstSeen, lastAccepted, accepted];
    },
    foreign: (path) => foreign.push(path.slice(dir.length + 1)),
  }, (path, error) => {
    throw new Error(`${path}: ${error.message}`);
  });
  return { rows, foreign: foreign.sort(), kept };
}

Deno.test("directory: a flat one", () => {
  using dir = temporary();
  make(dir.path, "192.0.2.", 1000.7, 1000.9);
  make(dir.path, "198.51.100.", 1000, 5000);
  make(dir.path, "203.0.113.9", 1000, 2000);
  make(dir.path, "README");
  // Known entries of greylist itself: their size is the count.
  Deno.writeFileSync(`${dir.path}/198.51.100.7`, new Uint8Array(1));
  Deno.writeFileSync(`${dir.path}/198.51.101.0_24`, new Uint8Array(3));
  make(dir.path, "192/192.0.2.17");
  Deno.symlinkSync("192.0.2.", `${dir.path}/192.0.3.`);
  assertEquals(read(dir.path, qgreylist), {
    rows: {
      "192.0.2.0/24": [1000, undefined, 0],
      "198.51.100.0/24": [1000, 5000, 1],
      "203.0.113.9/32": [1000, 2000, 1],
    },
    foreign: [
      "192",
      "192.0.3.",
      "198.51.100.7",
      "198.51.101.0_24",
      "README",
    ],
    kept: true,
  });
});

Deno.test("directory: one level of directories", () => {
  using dir = temporary();
  make(dir.path, "192/192.0.2.17", 1000, 5000);
  make(dir.path, "10/10.0.0.1");
  make(dir.path, "0/2001:db8::1");
  make(dir.path, "10/192.0.2.18");
  make(dir.path, "10.0.0.2");
  Deno.mkdirSync(`${dir.path}/10/20`);
  // Only qgreylist's files are all empty.
  Deno.writeTextFileSync(`${dir.path}/10/10.0.0.1`, "text");
  Deno.utimeSync(`${dir.path}/10/10.0.0.1`, 1000, 1000);
  assertEquals(read(dir.path, cqgreylist), {
    rows: {
      "192.0.2.17/32": [1000, undefined, 0],
      "10.0.0.1/32": [1000, undefined, 0],
      "2001:db8::1/128": [1000, undefined, 0],
    },
    foreign: ["10.0.0.2", "10/192.0.2.18", "10/20"],
    kept: true,
  });
});

Deno.test("directory: many levels of directories", () => {
  using dir = temporary();
  make(dir.path, "192/000/002", 1000, 1119);
  make(dir.path, "198/051/100/017", 1000, 1120);
  make(dir.path, "ip4/203/000/113", 1000, 9000);
  make(dir.path, "ip6/20/01/0d/b8/00/00/00/01", 1000, 1000);
  make(dir.path, "ip6/20/01/0d/b8/00/00/00/02/00/00/00/00/00/00/00/11");
  make(dir.path, "192/000/x");
  assertEquals(read(dir.path, jgreylist), {
    rows: {
      "192.0.2.0/24": [1000, undefined, 0],
      "198.51.100.17/32": [1000, 1120, 1],
      "203.0.113.0/24": [1000, 9000, 1],
      "2001:db8:0:1::/64": [1000, undefined, 0],
      "2001:db8:0:2::11/128": [1000, undefined, 0],
    },
    foreign: ["192/000/x"],
    kept: true,
  });
  assertEquals(descriptors(new RegExp(dir.path)), []);
});

Deno.test("directory: no time in it changes", () => {
  using dir = temporary();
  make(dir.path, "192/000/002", 1000, 5000);
  make(dir.path, "198/051/100/017", 1000, 1000);
  const paths = ["", "/192", "/192/000", "/192/000/002", "/198/051/100/017"];
  // An atime before mtime is what relatime (mount(8)) would change.
  for (const path of paths.slice(0, 3)) {
    Deno.utimeSync(dir.path + path, 500, 1000);
  }
  const times = () =>
    paths.map((path) => {
      const { atime, mtime, ctime } = Deno.lstatSync(dir.path + path);
      return [atime, mtime, ctime];
    });
  const before = times();
  assert(read(dir.path, jgreylist).kept);
  assertEquals(times(), before);
});

Deno.test("directory: no descriptor is left behind", () => {
  using dir = temporary();
  for (let i = 0; i < 9; i++) make(dir.path, `192/00${i}/002`);
  const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = count();
  read(dir.path, jgreylist);
  assertEquals(count(), before);
});

Deno.test("directory: one that is none", () => {
  using dir = temporary();
  make(dir.path, "file");
  for (const name of ["none", "file"]) {
    const error = assertThrows(() => read(`${dir.path}/${name}`, qgreylist));
    assert((error as Error).message.startsWith(`${dir.path}/${name}: open: `));
  }
});
