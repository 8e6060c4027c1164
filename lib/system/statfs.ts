/**
 * What the kernel knows about a file system: statfs(2) and the table of mounts.
 *
 * @module
 */

import { C, FS } from "./constants.ts";
import { check, cString, fromLibc } from "./libc.ts";

const libc = fromLibc({
  // int statfs(const char *path, struct statfs *buf);
  statfs: { parameters: ["buffer", "buffer"], result: "i32" },
});

/** The size of a struct statfs with room for what a later libc may add. */
const ROOM = 256;

/** A file system, as statfs(2) describes it. */
export interface FileSystem {
  /** Its kind: a magic number of linux/magic.h. */
  readonly magic: number;
  /** How many inodes it can have; 0 if it sets no limit, as btrfs. */
  readonly inodes: number;
  /** How many inodes are left. */
  readonly freeInodes: number;
  readonly readOnly: boolean;
}

/**
 * The file system that a path is on.
 *
 * @throws {LibcError}
 */
export function fileSystemOf(path: string): FileSystem {
  const bytes = new Uint8Array(ROOM);
  check("statfs", libc().statfs(cString(path), bytes));
  // On x86_64 and aarch64 every field of a struct statfs has 64 bits.
  const view = new DataView(bytes.buffer);
  const field = (index: number) => view.getBigUint64(8 * index, true);
  return {
    magic: Number(field(0) & 0xffff_ffffn),
    inodes: Number(field(5)),
    freeInodes: Number(field(6)),
    readOnly: (field(10) & BigInt(C.ST_RDONLY)) !== 0n,
  };
}

/** Kinds whose calls may go to another machine, or to a daemon that asks one. */
const REMOTE: readonly number[] = [
  FS.FUSE,
  FS.NFS,
  FS.CEPH,
  FS.SMB,
  FS.CIFS,
  FS.SMB2,
];

/** Whether calls on a file system may go to another machine. */
export function isRemote({ magic }: Pick<FileSystem, "magic">): boolean {
  return REMOTE.includes(magic);
}

/** A line of the table of mounts. */
export interface Mount {
  /** Such as `ext4`, `nfs4` or `fuse.glusterfs`. */
  readonly type: string;
  /** The options of the mount and of its file system. */
  readonly options: readonly string[];
}

/**
 * Finds the mount that a path is in.
 *
 * @param path an absolute path without symbolic links
 * @param table the text of /proc/self/mountinfo (proc(5))
 * @returns undefined if the table has none
 */
export function mountOf(path: string, table: string): Mount | undefined {
  let longest = -1;
  let found: Mount | undefined;
  for (const line of table.split("\n")) {
    // After the root and the mount point come the options of the mount and any
    // number of optional fields; a hyphen ends those.
    const [before, after] = line.split(" - ");
    const [, , , , point, options] = before.split(" ");
    if (after === undefined || options === undefined) continue;
    const at = unescape(point);
    const inside = at === "/" || path === at || path.startsWith(`${at}/`);
    // If two mounts have one mount point, the later one hides the other.
    if (!inside || at.length < longest) continue;
    longest = at.length;
    const [type, , own = ""] = after.split(" ");
    found = { type, options: [...options.split(","), ...own.split(",")] };
  }
  return found;
}

/** Decodes `\040` and so on: a blank, tab, line end or backslash in the table. */
function unescape(text: string): string {
  return text.replace(
    /\\([0-7]{3})/g,
    (_, digits) => String.fromCharCode(parseInt(digits, 8)),
  );
}
