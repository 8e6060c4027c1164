import { assertEquals, assertThrows } from "@std/assert";
import { FS } from "../../lib/system/constants.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { fileSystemOf, isRemote, mountOf } from "../../lib/system/statfs.ts";
import "../harness/libc.ts";

Deno.test("statfs: the same as stat(1) for each kind that is mounted here", () => {
  for (const path of ["/", "/tmp", "/proc", "/dev/shm"]) {
    const { stdout } = new Deno.Command("stat", {
      args: ["--file-system", "--format=%t %c", path],
    }).outputSync();
    const [magic, inodes] = new TextDecoder().decode(stdout).trim().split(" ");
    const found = fileSystemOf(path);
    assertEquals(found.magic.toString(16), magic, path);
    assertEquals(found.inodes, Number(inodes), path);
    assertEquals(found.freeInodes <= found.inodes, true, path);
  }
  assertEquals(fileSystemOf("/dev/shm").magic, FS.TMPFS);
});

Deno.test("statfs: a missing path", () => {
  assertThrows(() => fileSystemOf("/nonexistent"), LibcError, "statfs: ");
});

const TABLE = `\
21 28 0:19 / /proc rw,nosuid - proc proc rw
28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 28 0:35 / /var/qmail rw shared:7 master:2 - nfs4 server:/q rw,vers=4.2,soft
41 40 0:36 / /var/qmail/grey\\040list rw - fuse.glusterfs h1:/gv rw,allow_other
42 28 0:37 / /srv rw - tmpfs first rw
43 28 0:38 / /srv rw - xfs second rw,noquota
broken line
`;

Deno.test("statfs: the mount that a path is in", () => {
  const cases: [string, string, string][] = [
    ["/", "ext4", "relatime"],
    ["/var", "ext4", "errors=remount-ro"],
    ["/var/qmail", "nfs4", "soft"],
    ["/var/qmail/control", "nfs4", "vers=4.2"],
    ["/var/qmailx", "ext4", "relatime"],
    ["/var/qmail/grey list/x", "fuse.glusterfs", "allow_other"],
    // The last mount hides the others.
    ["/srv/x", "xfs", "noquota"],
  ];
  for (const [path, type, option] of cases) {
    const mount = mountOf(path, TABLE)!;
    assertEquals(mount.type, type, path);
    assertEquals(mount.options.includes(option), true, path);
  }
  assertEquals(mountOf("/", ""), undefined);
});

Deno.test("statfs: which kinds may ask another machine", () => {
  for (const magic of [FS.FUSE, FS.NFS, FS.CEPH, FS.SMB, FS.CIFS, FS.SMB2]) {
    assertEquals(isRemote({ magic }), true);
  }
  assertEquals(isRemote(fileSystemOf("/dev/shm")), false);
  assertEquals(isRemote({ magic: FS.OVERLAYFS }), false);
});
