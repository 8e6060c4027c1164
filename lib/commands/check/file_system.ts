/**
 * `greylist check`: the file system of the base directory, and the effects of its
 * kind on the entries.
 *
 * @module
 */

import { reasonOf } from "../../reason.ts";
import { amount } from "../../report/format.ts";
import { FS } from "../../system/constants.ts";
import { readProc } from "../../system/file.ts";
import {
  type FileSystem,
  fileSystemOf,
  type Mount,
  mountOf,
} from "../../system/statfs.ts";
import { type Finding, fix, note, ok, warn } from "./finding.ts";

/** The findings about the file system of a directory and its mount. */
export function fileSystem(dir: string, ipv6: number): Finding[] {
  try {
    const seen = fileSystemOf(dir);
    const table = new TextDecoder().decode(readProc("/proc/self/mountinfo"));
    const mount = mountOf(Deno.realPathSync(dir), table);
    return [...kind(seen, mount), inodes(seen, ipv6)];
  } catch (error) {
    return [fix(`file system of ${dir}: ${reasonOf(error)}`)];
  }
}

/** What an administrator has to know about a kind of file system. */
interface Kind {
  readonly name: string;
  /** Advice on the options of the mount. */
  readonly mount?: string;
  /** The effect on clients if the servers do not answer. */
  readonly hang?: string;
  /** Whether each host dates what it writes by its own clock. */
  readonly ownTimes?: true;
  /** Why entries get lost on this kind. */
  readonly loses?: string;
  /** Options with which writes get lost, and why. */
  readonly losing?: Readonly<Record<string, string>>;
}

const WAITS = "a call waits for as long as its servers do not answer, and a " +
  "client for storeTimeout";

const OWN_TIMES =
  "each host dates entries by its own clock, and check cannot " +
  "see the other clocks: compare the output of date on all hosts";

/** What fuse(4) reports as the type of a mount, behind `fuse.`. */
const FUSE: Readonly<Record<string, Partial<Kind>>> = {
  glusterfs: {
    name: "GlusterFS",
    mount: "mount it with attribute-timeout=0,entry-timeout=0," +
      "negative-timeout=0, so that a host sees at once what another has " +
      "written; set network.ping-timeout 5 and client.tcp-user-timeout 6 on " +
      "the volume",
    hang: "a call waits for as long as the volume does not answer, 83 s by " +
      "default, 7 s with these options, and a client for storeTimeout; no " +
      "signal ends that call",
    ownTimes: true,
  },
  // Object stores: no exclusive creation, and a file is written when it is
  // closed or later.
  s3fs: { loses: "an object store creates no file exclusively" },
  rclone: { loses: "an object store creates no file exclusively" },
  gcsfuse: { loses: "an object store creates no file exclusively" },
  goofys: { loses: "an object store creates no file exclusively" },
};

/** The kinds that need advice. For any other kind only its name is shown. */
const KINDS: Readonly<Record<number, Kind>> = {
  [FS.TMPFS]: {
    name: "tmpfs",
    loses: "it is empty after a reboot, and every sender waits once more",
  },
  [FS.RAMFS]: {
    name: "ramfs",
    loses: "it is empty after a reboot, and every sender waits once more",
  },
  [FS.OVERLAYFS]: {
    name: "overlayfs",
    loses: "entries in a container's own layer go with the container: put " +
      "baseDir on a volume",
  },
  [FS.FUSE]: {
    name: "FUSE",
    mount: "mount it with attribute-timeout=0,entry-timeout=0 or what its " +
      "daemon calls that, if several hosts share it",
    hang: "a call waits for as long as the daemon does not answer, and a " +
      "client for storeTimeout; no signal ends that call",
  },
  [FS.NFS]: {
    name: "NFS",
    mount:
      "mount it with vers=4.1,hard,lookupcache=none,actimeo=1, so that a " +
      "host sees within a second what another has written",
    hang: `${WAITS}; this holds for a soft mount as well`,
    losing: {
      soft: "a soft mount gives up writes when the server is slow (nfs(5))",
      softerr: "a soft mount gives up writes when the server is slow (nfs(5))",
    },
  },
  [FS.CEPH]: {
    name: "CephFS",
    mount: "mount it with recover_session=clean,wsync: a client that the " +
      "cluster has blocked comes back by itself then",
    hang: WAITS,
    ownTimes: true,
    losing: {
      nowsync: "with nowsync a file may vanish that was created already",
    },
  },
  [FS.SMB]: smb("SMB 1"),
  [FS.CIFS]: smb("SMB"),
  [FS.SMB2]: smb("SMB"),
};

function smb(name: string): Kind {
  return {
    name,
    mount: "mount it with hard,cache=none,actimeo=1,echo_interval=5: each " +
      "option's default lets one host see late what another has written, or a " +
      "write fail",
    hang: `${WAITS}; on a soft mount, the default, calls fail after three ` +
      "times echo_interval, and onError decides",
    losing: {
      soft: "a soft mount gives up writes when the server is slow",
      "cache=loose": "cache=loose keeps writes back from other hosts",
    },
  };
}

/** The findings about a kind of file system and its mount options. */
export function kind(
  { magic, readOnly }: Pick<FileSystem, "magic" | "readOnly">,
  mount: Mount | undefined,
): Finding[] {
  const known: Kind | undefined = KINDS[magic];
  const [family, daemon] = mount?.type.split(".") ?? [];
  const special = family === "fuse" && daemon !== undefined
    ? { name: `FUSE (${daemon})`, ...FUSE[daemon] }
    : {};
  const unknown = `an unknown file system (0x${magic.toString(16)})`;
  const about: Kind = {
    ...known ?? { name: mount?.type ?? unknown },
    ...special,
  };
  const where = `baseDir is on ${about.name}`;
  if (readOnly) return [fix(`${where}, mounted read-only`)];
  const losses = [
    ...(about.loses === undefined ? [] : [about.loses]),
    ...Object.entries(about.losing ?? {})
      .filter(([option]) => mount?.options.includes(option))
      .map(([, why]) => why),
  ];
  return [
    ...(losses.length === 0
      ? [ok(where)]
      : losses.map((why) => warn(`${where}: ${why}`))),
    ...(about.mount === undefined
      ? []
      : [note(`${about.name}: ${about.mount}`)]),
    ...(about.hang === undefined ? [] : [note(`${about.name}: ${about.hang}`)]),
    ...(about.ownTimes ? [note(`${about.name}: ${OWN_TIMES}`)] : []),
  ];
}

/** The prefix length of a provider's usual allocation: an attacker may have all of it. */
const ALLOCATION = 32;

/**
 * The room for entries: an entry takes an inode, and no block.
 *
 * @param ipv6 match.ipv6
 */
export function inodes(
  { inodes, freeInodes }: Pick<FileSystem, "inodes" | "freeInodes">,
  ipv6: number,
): Finding {
  const networks = 2 ** Math.max(0, ipv6 - ALLOCATION);
  const need = `an IPv6 /${ALLOCATION} has ${amount(networks)} networks of ` +
    `/${ipv6}, and each new one is an inode`;
  if (inodes === 0) return ok(`inodes: no limit; ${need}`);
  const left = `inodes: ${amount(freeInodes)} of ${amount(inodes)} left`;
  if (freeInodes === 0) {
    return fix(`${left}: no new client can have an entry; run greylist prune`);
  }
  const advice = networks > freeInodes && ipv6 > 48
    ? "; match.ipv6 48 makes it 65,536"
    : "";
  const text = `${left}; ${need}${advice}`;
  return freeInodes < FEW ? warn(text) : ok(text);
}

/** As many networks of /64 as the IPv6 /48 of one customer has. */
const FEW = 65_536;
