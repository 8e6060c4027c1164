import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  clean,
  compile,
  deciding,
  entries,
  logLines,
} from "../harness/binary.ts";
import { bothWays } from "../harness/both_ways.ts";
import { aboutClients } from "../harness/fault.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { gone, run } from "../harness/process.ts";
import { BASE, ROOT, writeFile } from "../harness/root.ts";
import { assertOnlySmtp, ATTEMPT, burst } from "../harness/smtp.ts";
import { serve, tcpserver, type WayIn } from "../harness/way_in.ts";

const ENTRY = `${BASE}/127.0.0.0_24`;

/** One thing that is wrong. */
interface Fault {
  readonly name: string;
  /** Makes it so; the database is empty before. */
  readonly prepare?: () => void | Promise<unknown>;
  /** Lines of sh that run before greylist in the same process. */
  readonly setup?: string;
  readonly root?: boolean;
  readonly mounts?: boolean;
  /** Whether only an unprivileged user meets it. */
  readonly unprivileged?: boolean;
  /** The ways in to which the fault applies; all if it is missing. */
  readonly ways?: readonly WayIn[];
  /** The log line about the fault. */
  readonly says: RegExp;
  /** What must be true afterwards. */
  readonly after?: () => void;
}

/** A hostile TCPREMOTEIP, as printf(1) writes it. */
function hostile(name: string, value: string): Fault {
  return {
    name: `TCPREMOTEIP is ${name}`,
    setup: `TCPREMOTEIP=$(printf '${value}'); export TCPREMOTEIP`,
    // serve gets the client's address from the kernel.
    ways: [tcpserver],
    says: /TCPREMOTEIP/,
    after: () => assertEquals(entries(), {}),
  };
}

/** A file system of its own in the base directory's place. */
function mounted(options: string, then = ""): string {
  return `[ "$1" = again ] || exec unshare --mount sh "$0" again "$@"
shift
mount -t tmpfs -o ${options} tmpfs ${BASE}
${then}`;
}

const untouched = `${ROOT}/untouched`;

const FAULTS: Fault[] = [
  hostile("a path", "../../etc/passwd"),
  hostile("an absolute path", "/etc/passwd"),
  hostile("an entry's name", "127.0.0.0_24"),
  hostile("5,000 bytes", "%05000d"),
  hostile("%0a", "%%0a"),
  hostile("two lines", "192.0.2.1\\ndefer ip=192.0.2.2 reason=new"),
  hostile("no UTF-8", "\\377\\376"),
  hostile("a terminal escape", "\\033[2J"),
  hostile("a network", "192.0.2.0/24"),
  hostile("an address and more", "192.0.2.1 x"),
  {
    name: "the base directory is missing",
    prepare: () => Deno.removeSync(BASE),
    says: /base.*No such file/,
  },
  {
    name: "the base directory is a file",
    prepare: () => {
      Deno.removeSync(BASE);
      Deno.writeTextFileSync(BASE, "");
    },
    says: /base.*Not a directory/,
  },
  {
    name: "the base directory is not allowed to be read",
    unprivileged: true,
    root: true,
    says: /base.*[Pp]ermission/,
  },
  {
    name: "the base directory is on a read-only file system",
    setup: mounted("ro"),
    mounts: true,
    says: /base.*Read-only file system/,
  },
  {
    name: "no inode is left",
    setup: mounted("nr_inodes=1"),
    mounts: true,
    says: /base.*No space left/,
  },
  {
    name: "the entry is a directory",
    prepare: () => Deno.mkdirSync(ENTRY),
    says: /127\.0\.0\.0_24.*directory/,
    after: () => assert(Deno.lstatSync(ENTRY).isDirectory),
  },
  {
    name: "the entry is a symbolic link to a file",
    prepare: () => {
      Deno.writeTextFileSync(untouched, "untouched");
      Deno.utimeSync(untouched, 1000, 1000);
      Deno.symlinkSync(untouched, ENTRY);
    },
    says: /127\.0\.0\.0_24.*symbolic link/,
    after: () => {
      assert(Deno.lstatSync(ENTRY).isSymlink);
      const { size, mtime } = Deno.statSync(untouched);
      assertEquals([size, mtime?.getTime()], [9, 1_000_000]);
    },
  },
  {
    name: "the entry is a symbolic link to nothing",
    prepare: () => Deno.symlinkSync(`${ROOT}/not-made`, ENTRY),
    says: /127\.0\.0\.0_24.*symbolic link/,
    after: () => {
      assertEquals(
        [...Deno.readDirSync(ROOT)].some((e) => e.name === "not-made"),
        false,
      );
    },
  },
  {
    name: "the entry is a FIFO",
    prepare: () => run(["mkfifo", ENTRY]),
    says: /127\.0\.0\.0_24.*FIFO/,
  },
  {
    name: "the entry is a socket",
    prepare: () => {
      const path = `${ROOT}/socket`;
      const listener = Deno.listen({ transport: "unix", path });
      // Deno 2.9 removes the path that it has listened on.
      Deno.renameSync(path, ENTRY);
      listener.close();
    },
    says: /127\.0\.0\.0_24.*socket/,
  },
  {
    name: "the entry is a device",
    prepare: () => run(["mknod", ENTRY, "c", "1", "3"]),
    root: true,
    says: /127\.0\.0\.0_24.*device/,
  },
];

/** Under tcpserver, a program before greylist becomes the user nobody. */
const AS_NOBODY =
  'set -- setpriv --reuid=65534 --regid=65534 --clear-groups "$@"';

for (const onError of ["accept", "defer"] as const) {
  const cases = FAULTS.flatMap((fault) =>
    (fault.ways ?? [tcpserver, serve]).map((way) => ({ way, fault }))
  );
  for (const { way, fault } of cases) {
    e2e(`${way.name}: onError ${onError}: ${fault.name}`, {
      ...way,
      root: fault.root,
      mounts: fault.mounts,
    }, async () => {
      clean();
      Deno.chmodSync(`${ROOT}/log`, 0o777);
      const user = fault.unprivileged ? { serve: { user: "nobody" } } : {};
      const binary = await compile({ ...deciding(onError), ...user });
      const become = fault.unprivileged && way !== serve ? AS_NOBODY : "";
      const script = `${fault.setup ?? become}\nexec "$@"\n`;
      const before = ["/bin/sh", writeFile("setup.sh", script)];
      const next = greeter();
      await fault.prepare?.();
      try {
        await using server = await way.start({ binary, before, next });
        const text = await burst(server.port, ATTEMPT.join("\r\n") + "\r\n");
        if (onError === "accept") {
          assertEquals(text.split("\r\n")[0], NEXT);
        } else {
          assertOnlySmtp(text);
          assertMatch(text, /^220 mx\.example/);
          assertMatch(text, /\r\n451 4\.3\.0 [ -~]*\r\n221 /);
        }
        const [line, ...more] = aboutClients();
        const verb = onError === "accept" ? "pass" : "defer";
        assertMatch(
          line,
          new RegExp(`^\\S+Z error ${verb} [ -~]*reason=error`),
        );
        assertMatch(line, fault.says);
        assertEquals(more, []);
        assertEquals(server.stderr(), "");
        fault.after?.();
        await server.idle();
      } finally {
        // It may be gone, or something else than a directory.
        await run(["rm", "-rf", BASE]);
      }
    });
  }

  e2e(`onError ${onError}: there is no client address at all`, {}, async () => {
    clean();
    const binary = await compile(deciding(onError));
    const { code, stdout, stderr } = await run(
      [binary, "echo", "next"],
      { input: ATTEMPT.join("\r\n") + "\r\n", env: {} },
    );
    assertEquals([code, stderr], [0, ""]);
    if (onError === "accept") assertEquals(stdout, "next\n");
    else assertMatch(stdout, /\r\n451 4\.3\.0 /);
    assertEquals(logLines().length, 1);
    assertMatch(logLines()[0], / error .*reason=error what="no client address/);
  });
}

const needs = { programs: ["tcpserver"] };

// serve does not ask what a super-server would say.
e2e("an empty TCPREMOTEIP is a missing one", needs, async () => {
  clean();
  const binary = await compile();
  const before = ["/usr/bin/env", "TCPREMOTEIP="];
  const next = greeter();
  await using server = await tcpserver.start({ binary, before, next });
  const text = await burst(server.port, ATTEMPT.join("\r\n") + "\r\n");
  assertMatch(text, /\r\n451 4\.7\.1 /);
  assertEquals(entries(), { "127.0.0.0_24": 0 });
  await gone(binary);
  assertEquals(logLines().length, 1);
});

e2e("a host name that is not UTF-8 counts as missing", needs, async () => {
  clean();
  const binary = await compile({ whitelist: { hosts: [".example.org"] } });
  const script = `TCPREMOTEHOST=$(printf 'a\\377.example.org'); X=$TCPREMOTEHOST
export TCPREMOTEHOST X; exec "$@"\n`;
  const before = ["/bin/sh", writeFile("setup.sh", script)];
  const next = greeter();
  await using server = await tcpserver.start({ binary, before, next });
  const text = await burst(server.port, ATTEMPT.join("\r\n") + "\r\n");
  assertMatch(text, /\r\n451 4\.7\.1 /);
  await gone(binary);
  assertEquals(logLines().length, 1);
});

bothWays("a full file system counts and lets in all the same", {
  mounts: true,
}, async (way) => {
  clean();
  const binary = await compile();
  // Entries take no block, so there is one more thing that cannot go wrong.
  const script = mounted(
    "size=64k,mode=700",
    `
dd if=/dev/zero of=${BASE}/.filler bs=1k count=100 2>/dev/null
: >${ENTRY}; touch -d '100 seconds ago' ${ENTRY}
exec "$@"\n`,
  );
  const before = ["/bin/sh", writeFile("setup.sh", script)];
  const next = ["/bin/sh", writeFile("size.sh", `stat -c '220 %s' ${ENTRY}\n`)];
  await using server = await way.start({ binary, before, next });
  assertEquals(await burst(server.port, ""), "220 1\n");
  const [line, ...more] = aboutClients();
  assertMatch(line, / pass .* reason=retried age=1\d\d accepted=1$/);
  assertEquals(more, []);
});

bothWays("an exempt client passes whatever is wrong", {}, async (way) => {
  clean();
  Deno.removeSync(BASE);
  const binary = await compile({ onError: "defer" });
  const before = ["/usr/bin/env", "RELAYCLIENT=", "TCPREMOTEIP=nonsense"];
  const next = greeter();
  await using server = await way.start({ binary, before, next });
  assertEquals((await burst(server.port, "")).split("\r\n")[0], NEXT);
  const who = way === serve ? "ip=127.0.0.1 net=127.0.0.0/24 " : "";
  assertEquals(
    aboutClients().map((line) => line.replace(/^\S+Z /, "")),
    [`pass ${who}reason=whitelisted rule=env:RELAYCLIENT`],
  );
});
