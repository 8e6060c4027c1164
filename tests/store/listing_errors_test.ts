import { assertEquals, assertThrows } from "@std/assert";
import { Listing } from "../../lib/store/listing.ts";
import { StoreError } from "../../lib/store/store.ts";
import { E } from "../../lib/system/constants.ts";
import { Directory, type Visitor } from "../../lib/system/directory.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { makeEntry } from "../harness/entry.ts";
import "../harness/libc.ts";
import { emptyDir } from "../harness/root.ts";

// The libraries that are opened once stay open; see harness/libc.ts.
new Listing("/").close();

function visitAll(listing: Listing): void {
  listing.visit(() => false);
}

/** Runs with other methods of a directory. */
function withDirectory(methods: Partial<Directory>, work: () => void): void {
  const { visit, remove } = Directory.prototype;
  Object.assign(Directory.prototype, methods);
  try {
    work();
  } finally {
    Object.assign(Directory.prototype, { visit, remove });
  }
}

Deno.test("listing: errors while it is read have the path", () => {
  const dir = emptyDir("listing-errors");
  makeEntry("192.0.2.1", 0, 0, dir);
  const broken = (call: string) => new LibcError(call, E.EIO);
  const listing = new Listing(dir);
  const message = (work: () => unknown) =>
    assertThrows(work, StoreError).message.replace(`${dir}`, "DIR");
  assertEquals(
    message(() => listing.seek(-1n)),
    "DIR: lseek: Invalid argument",
  );
  const unreadable = () => {
    throw broken("getdents64");
  };
  withDirectory({ visit: unreadable }, () => {
    assertEquals(
      message(() => visitAll(listing)),
      "DIR: getdents64: Input/output error",
    );
  });
  const { visit } = Directory.prototype;
  const unseen = function (this: Directory, visitor: Visitor) {
    visit.call(this, {
      ...visitor,
      file: () => {
        visitor.failed(broken("statx"));
        return false;
      },
    });
  };
  withDirectory({ visit: unseen }, () => {
    const text = "DIR/192.0.2.1: statx: Input/output error";
    assertEquals(message(() => visitAll(listing)), text);
    const told: string[] = [];
    listing.seek(0n);
    listing.visit(() => false, (error) =>
      told.push(message(() => {
        throw error;
      })));
    assertEquals(told, [text]);
  });
  const unmoved = () => {
    throw broken("unlink");
  };
  withDirectory({ remove: unmoved }, () => {
    listing.seek(0n);
    assertEquals(
      message(() => listing.visit(() => listing.remove())),
      "DIR/192.0.2.1: unlink: Input/output error",
    );
  });
  listing.close();
});

Deno.test("listing: bookkeeping is told, and no descriptor is left behind", () => {
  const dir = emptyDir("listing-errors");
  for (const name of [".prune", "192.0.2.1", "README"]) {
    makeEntry(name, 0, 0, dir);
  }
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = descriptors();
  const told: string[] = [];
  for (let i = 0; i < 3; i++) {
    const listing = new Listing(dir);
    listing.bookkeeping = (name) => told.push(name);
    visitAll(listing);
    listing.close();
  }
  assertEquals(descriptors(), before);
  const names = told.filter((name) => !/^\.{1,2}$/.test(name));
  assertEquals(names, [".prune", ".prune", ".prune"]);
});
