import { assertEquals, assertMatch } from "@std/assert";
import {
  fileSystem,
  inodes,
  kind,
} from "../../../lib/commands/check/file_system.ts";
import { FS } from "../../../lib/system/constants.ts";
import "../../harness/libc.ts";

/** The kinds of the findings, and all of their texts. */
function seen(
  magic: number,
  type: string,
  options = "rw",
): [string, string] {
  const findings = kind(
    { magic, readOnly: false },
    { type, options: options.split(",") },
  );
  return [
    findings.map(({ kind }) => kind).join(" "),
    findings.map(({ text }) => text).join("\n"),
  ];
}

Deno.test("check file system: a disk is named, and needs no word", () => {
  assertEquals(seen(0xef53, "ext4"), ["ok", "baseDir is on ext4"]);
  assertEquals(seen(0x58465342, "xfs"), ["ok", "baseDir is on xfs"]);
  assertEquals(kind({ magic: 0x1234, readOnly: false }, undefined), [
    { kind: "ok", text: "baseDir is on an unknown file system (0x1234)" },
  ]);
});

Deno.test("check file system: how to mount what is shared, and what a hang is", () => {
  const cases: [number, string, string, RegExp][] = [
    [
      FS.FUSE,
      "fuse.glusterfs",
      "FUSE|GlusterFS",
      /attribute-timeout=0.*network\.ping-timeout 5[^]*83 s by default, 7 s/,
    ],
    [FS.FUSE, "fuse.sshfs", "FUSE (sshfs)", /attribute-timeout[^]*daemon/],
    [FS.NFS, "nfs4", "NFS", /hard,lookupcache=none,actimeo=1[^]*soft mount/],
    [FS.CEPH, "ceph", "CephFS", /recover_session=clean,wsync[^]*do not answer/],
    [FS.SMB2, "cifs", "SMB", /hard,cache=none[^]*echo_interval, and onError/],
    [FS.CIFS, "cifs", "SMB", /hard,cache=none/],
  ];
  for (const [magic, type, name, pattern] of cases) {
    const [kinds, text] = seen(magic, type);
    const dates = /^(fuse\.glusterfs|ceph)$/.test(type);
    assertEquals(kinds, dates ? "ok note note note" : "ok note note", type);
    assertEquals(/compare the output of date on all hosts/.test(text), dates);
    assertEquals(
      name.split("|").some((name) =>
        text.startsWith(`baseDir is on ${name}\n`)
      ),
      true,
      text,
    );
    assertMatch(text, pattern);
  }
});

Deno.test("check file system: what loses writes is warned of", () => {
  const cases: [number, string, string, string, RegExp][] = [
    [FS.TMPFS, "tmpfs", "rw", "warn", /after a reboot/],
    [FS.OVERLAYFS, "overlay", "rw", "warn", /volume/],
    [FS.FUSE, "fuse.s3fs", "rw", "warn note note", /exclusively/],
    [FS.NFS, "nfs4", "rw,soft,vers=4.2", "warn note note", /gives up writes/],
    [FS.NFS, "nfs", "rw,softerr", "warn note note", /gives up writes/],
    [FS.NFS, "nfs4", "rw,hard,vers=4.2", "ok note note", /vers=4\.1/],
    [FS.CEPH, "ceph", "rw,nowsync", "warn note note note", /may vanish/],
    [FS.SMB2, "cifs", "rw,soft,cache=loose", "warn warn note note", /loose/],
  ];
  for (const [magic, type, options, kinds, pattern] of cases) {
    const [found, text] = seen(magic, type, options);
    assertEquals(found, kinds, `${type} ${options}`);
    assertMatch(text, pattern);
  }
});

Deno.test("check file system: read-only is to be mended", () => {
  assertEquals(
    kind({ magic: FS.NFS, readOnly: true }, { type: "nfs4", options: [] }),
    [{ kind: "fix", text: "baseDir is on NFS, mounted read-only" }],
  );
});

Deno.test("check file system: inodes, and what an IPv6 /32 would need", () => {
  const look = (total: number, free: number, ipv6: number) => {
    const { kind, text } = inodes({ inodes: total, freeInodes: free }, ipv6);
    return `${kind} ${text}`;
  };
  assertEquals(
    look(16_000_000, 15_000_000, 64),
    "ok inodes: 15,000,000 of 16,000,000 left; an IPv6 /32 has 4,294,967,296 " +
      "networks of /64, and each new one is an inode; match.ipv6 48 makes it " +
      "65,536",
  );
  assertEquals(
    look(16_000_000, 15_000_000, 48),
    "ok inodes: 15,000,000 of 16,000,000 left; an IPv6 /32 has 65,536 networks " +
      "of /48, and each new one is an inode",
  );
  assertMatch(look(100_000, 65_535, 48), /^warn inodes: 65,535 of 100,000 /);
  assertMatch(look(100_000, 0, 48), /^fix .*: no new client can have an entry/);
  // btrfs makes inodes as they are needed.
  assertMatch(look(0, 0, 64), /^ok inodes: no limit; an IPv6 \/32 has /);
  assertMatch(look(0, 0, 24), / has 1 networks of \/24/);
});

Deno.test("check file system: of a real directory, and of none", () => {
  const findings = fileSystem("/tmp", 64);
  assertMatch(findings[0].text, /^baseDir is on [a-z]/);
  assertMatch(findings.at(-1)!.text, /^inodes: /);
  assertEquals(fileSystem("/nonexistent", 64), [{
    kind: "fix",
    text: "file system of /nonexistent: statfs: No such file or directory",
  }]);
});
