import { assert, assertEquals, assertMatch } from "@std/assert";
import { compile, deciding, entries, logLines } from "../harness/binary.ts";
import { bothWays } from "../harness/both_ways.ts";
import {
  assertDeferred,
  assertNext,
  assertSurvived,
  connect,
  empty,
  ENTRY,
  NAME,
  NOBODY,
  script,
  SESSION,
  type StateName,
  STATES,
} from "../harness/fault.ts";
import { brokenFuse, deadFuse, fuseObstacle } from "../harness/fuse.ts";
import { loopObstacle } from "../harness/loop.ts";
import { e2e, type Needs } from "../harness/need.ts";
import { greeter } from "../harness/next_program.ts";
import { gone, run, waitFor } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";
import { burst } from "../harness/smtp.ts";
import { failing } from "../harness/strace.ts";
import { openSyslog } from "../harness/syslog.ts";
import { inetd, serve, tcpserver, type WayIn } from "../harness/way_in.ts";

// A fault of the machine must lose no mail. For bad addresses, entries that are no
// files and more of the base directory see e2e/faults_test.ts.

/** Something that is wrong with the base directory. */
interface Fault {
  readonly name: string;
  /** The ways in to which the fault applies; all if it is missing. */
  readonly ways?: readonly WayIn[];
  readonly needs: Needs;
  readonly prepare?: () => Promise<unknown> | void;
  readonly before: () => readonly string[];
  readonly says: RegExp;
  readonly after?: () => void;
}

/** A tmpfs with an entry in it that cannot be written to any more. */
function remounted(accepted: number): string[] {
  return [
    "unshare",
    "--mount",
    ...script(
      `remounted_${accepted}.sh`,
      `mount -t tmpfs -o mode=700 tmpfs ${BASE}
truncate -s ${accepted} ${ENTRY}
touch -d '100 seconds ago' ${ENTRY}
mount -o remount,ro ${BASE}
exec "$@"
`,
    ),
  ];
}

/** An ext2 without a free block, and a directory that needs one more. */
async function fullDisk(): Promise<void> {
  const image = writeFile("full.img", "");
  const disk = emptyDir("full");
  const { code, stderr } = await run([
    "unshare",
    "--mount",
    ...script(
      "full.sh",
      `set -e
truncate -s 512k ${image}
PATH=$PATH:/sbin:/usr/sbin mkfs.ext2 -q -F -b 1024 -m 0 -N 512 ${image}
mount -o loop ${image} ${disk}
rmdir ${disk}/lost+found
dd if=/dev/zero of=${disk}/.filler bs=1k 2>/dev/null || :
n=100
while touch ${disk}/.aaaaaaaa$n 2>/dev/null; do n=$((n + 1)); done
# It is not the inodes that are used up.
[ $(stat -f -c %d ${disk}) -gt 0 ]
`,
    ),
  ]);
  assertEquals([code, stderr], [0, ""]);
}

const FAULTS: Fault[] = [
  {
    name: "a base directory of mode 0000",
    // serve becomes the user nobody by itself: see e2e/faults_test.ts.
    ways: [tcpserver],
    needs: { root: true, programs: ["setpriv"] },
    prepare: () => {
      Deno.chownSync(BASE, 65534, 65534);
      Deno.chmodSync(BASE, 0);
    },
    before: () => NOBODY,
    says: /base.*Permission denied/,
    after: () => assertEquals(entries(), {}),
  },
  {
    name: "a file system that went read-only, a client that has waited",
    needs: { mounts: true, programs: ["unshare"] },
    before: () => remounted(0),
    says: /base.*open: Read-only file system/,
  },
  {
    name: "a file system that went read-only, a known client",
    needs: { mounts: true, programs: ["unshare"] },
    before: () => remounted(7),
    says: /base.*open: Read-only file system/,
  },
  {
    name: "no block left for the directory (ext2)",
    needs: {
      mounts: true,
      programs: ["unshare", "mkfs.ext2", "losetup"],
      kernel: loopObstacle,
    },
    prepare: fullDisk,
    before: () => [
      "unshare",
      "--mount",
      ...script(
        "on_full.sh",
        `mount -o loop ${ROOT}/full.img ${BASE}\nexec "$@"\n`,
      ),
    ],
    says: /base.*create: No space left on device/,
  },
  {
    name: "a disk that answers EIO (FUSE)",
    needs: {
      mounts: true,
      programs: ["perl", "unshare"],
      kernel: fuseObstacle,
    },
    before: brokenFuse,
    says: /base.*Input\/output error/,
  },
  {
    name: "a FUSE file system whose daemon died",
    needs: { mounts: true, programs: ["unshare"], kernel: fuseObstacle },
    before: deadFuse,
    says: /base.*not connected/,
  },
];

for (const onError of ["accept", "defer"] as const) {
  const cases = FAULTS.flatMap((fault) =>
    (fault.ways ?? [tcpserver, serve]).map((way) => ({ way, fault }))
  );
  for (const { way, fault } of cases) {
    const needs = {
      ...fault.needs,
      programs: [...way.programs, ...fault.needs.programs ?? []],
    };
    e2e(`${way.name}: onError ${onError}: ${fault.name}`, needs, async () => {
      empty();
      const binary = await compile(deciding(onError));
      await fault.prepare?.();
      try {
        const text = await connect(binary, fault.before(), way);
        assertSurvived(onError, text, fault.says);
        fault.after?.();
      } finally {
        Deno.chmodSync(BASE, 0o700);
      }
    });
  }
}

for (const onError of ["accept", "defer"] as const) {
  e2e(`onError ${onError}: EIO where stderr is the client's (inetd)`, {
    ...inetd,
    programs: [...inetd.programs, "perl", "unshare"],
    mounts: true,
    kernel: fuseObstacle,
  }, async () => {
    empty();
    await using syslog = openSyslog();
    const binary = await compile({ onError, log: {} });
    // The private /dev of the syslog tests has no /dev/fuse.
    const before = [...brokenFuse(), ...syslog.before];
    await using server = await inetd.start({ binary, before, next: greeter() });
    const text = await burst(server.port, SESSION);
    if (onError === "accept") assertNext(text);
    else assertDeferred(text, "4.3.0");
    await gone(binary);
    await waitFor("a message", () => syslog.messages.length > 0);
    const [message, ...more] = syslog.messages;
    assertMatch(message, /^<19>.*: error [ -~]*base.*Input\/output error/);
    assertEquals(more, []);
  });
}

// Each call that a connection makes on its entry, failed by strace(1) in the
// real program.

// If the look at a missing entry fails, the entry is created all the same.
const CALLS: readonly [StateName, string, readonly string[]][] = [
  ["none", "mknodat", ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES"]],
  ["grey", "openat", ["EIO", "ESTALE", "EPERM"]],
  ["grey", "ftruncate", ["EIO", "ENOSPC", "EDQUOT", "EFBIG"]],
  ["stale", "utimensat", ["EIO"]],
  ["known", "statx", ["ESTALE"]],
  ["known", "openat", ["EMFILE"]],
  ["known", "ftruncate", ["EIO", "EDQUOT"]],
  ["expired", "ftruncate", ["EIO"]],
];

for (const onError of ["accept", "defer"] as const) {
  bothWays(`onError ${onError}: any call on the entry fails`, {
    programs: ["strace"],
  }, async (way, t) => {
    // serve would prune old entries at its start.
    const prune = way === serve ? { every: 0 } : undefined;
    const binary = await compile({ ...deciding(onError), prune });
    for (const [state, call, errors] of CALLS) {
      for (const error of errors) {
        await t.step(`${state}: ${call} gives ${error}`, async () => {
          empty();
          STATES[state]();
          const before = entries();
          const text = await connect(binary, failing(ENTRY, call, error), way);
          assertSurvived(onError, text, /127\.0\.0\.0_24: /);
          assertEquals(entries(), before);
        });
      }
    }
  });
}

bothWays("where files can be created only by opening them, they are", {
  programs: ["strace"],
}, async (way, t) => {
  const binary = await compile();
  for (const error of ["ENOSYS", "EOPNOTSUPP", "EPERM"]) {
    await t.step(error, async () => {
      empty();
      const before = failing(ENTRY, "mknodat", error);
      assertDeferred(await connect(binary, before, way), "4.7.1");
      assertEquals(entries(), { [NAME]: 0 });
      for (const line of logLines()) assert(!line.includes(" error "), line);
    });
  }
});

e2e("a failure after the verdict does not change it", {
  programs: ["tcpserver", "strace"],
}, async (t) => {
  const binary = await compile();
  const behind: [string, string, RegExp | undefined][] = [
    [ENTRY, "close", undefined],
    // Pruning makes a second one of these calls.
    [BASE, "statx", /warn prune .*Input\/output error/],
    [`${BASE}/.prune`, "openat", /warn prune .*\.prune: .*Input\/output error/],
    [`${BASE}/.prune`, "flock", /warn prune .*\.prune: .*Input\/output error/],
    [
      `${BASE}/.prune`,
      "ftruncate",
      /warn prune .*\.prune: .*Input\/output error/,
    ],
  ];
  for (const [path, call, says] of behind) {
    await t.step(`${path.slice(ROOT.length)}: ${call} gives EIO`, async () => {
      empty();
      // Only with such a umask a new entry is opened and closed.
      const umask = call === "close"
        ? script("umask.sh", 'umask 777; exec "$@"\n')
        : [];
      const before = [...umask, ...failing(path, call, "EIO")];
      const text = await connect(binary, before);
      assertDeferred(text, "4.7.1");
      assertEquals(entries(), { [NAME]: 0 });
      const [line, ...more] = logLines();
      assertMatch(line, / defer ip=127\.0\.0\.1 .*reason=new wait=60 /);
      if (says === undefined) assertEquals(more, []);
      else assertMatch(more.join("\n"), says);
    });
  }
});
