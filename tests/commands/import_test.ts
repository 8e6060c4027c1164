import { assert, assertEquals, assertMatch } from "@std/assert";
import { clean, compile, entries } from "../harness/binary.ts";
import { makeEntry, watch } from "../harness/entry.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { BASE, emptyDir, ROOT, writeFile } from "../harness/root.ts";

const HOUR = 3600;
const DAY = 86400;
const NOW = Math.floor(Date.now() / 1000);

/**
 * Makes an empty file below {@linkcode ROOT}, as old as greylisting programs
 * leave it.
 *
 * @param first seconds since its mtime
 * @param last seconds since its atime
 */
function old(path: string, first: number, last: number): void {
  const file = `${ROOT}/${path}`;
  Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
  Deno.writeFileSync(file, new Uint8Array());
  Deno.utimeSync(file, NOW - last, NOW - first);
}

/** Accepted count and age of an entry, in seconds before the test began. */
function entry(name: string): [number, number] {
  const { size, mtime } = Deno.lstatSync(`${BASE}/${name}`);
  return [size, NOW - mtime!.getTime() / 1000];
}

async function importing(
  args: string[],
  input?: string,
  config?: Parameters<typeof compile>[0],
) {
  return await run([await compile(config), "import", ...args], { input });
}

function makeQgreylist(): string {
  const dir = emptyDir("qgreylist");
  old("qgreylist/192.0.2.", 10 * DAY, 2 * DAY);
  old("qgreylist/198.51.100.", 2 * HOUR, 2 * HOUR);
  old("qgreylist/203.0.113.17", 50 * DAY, HOUR);
  old("qgreylist/203.0.114.", 2 * DAY, 2 * DAY);
  old("qgreylist/203.0.115.", 90 * DAY, 40 * DAY);
  old("qgreylist/README", 0, 0);
  return dir;
}

e2e("import: qgreylist, both forms of names", {}, async () => {
  clean();
  const dir = makeQgreylist();
  const source = watch(dir);
  const before = source();
  const summary =
    `imported 3 of 5 entries from ${dir}: 2 known, 1 grey, 1 as the network ` +
    "around an address, 2 expired, 1 unreadable\n";
  const outcome = {
    code: 0,
    stdout: "would " + summary.replace("imported", "import"),
    stderr: `greylist import: ${dir}/README: expected an entry of qgreylist\n`,
  };
  assertEquals(
    await importing(["--dry-run", "--from=qgreylist", dir]),
    outcome,
  );
  assertEquals(entries(), {});
  assertEquals(
    await importing(["--from=qgreylist", dir]),
    { ...outcome, stdout: summary },
  );
  assertEquals(entries(), {
    "192.0.2.0_24": 1,
    "198.51.100.0_24": 0,
    "203.0.113.0_24": 1,
  });
  assertEquals(entry("192.0.2.0_24"), [1, 2 * DAY]);
  assertEquals(entry("198.51.100.0_24"), [0, 2 * HOUR]);
  assertEquals(entry("203.0.113.0_24"), [1, HOUR]);
  // The source is as it was, and a second time brings nothing.
  assertEquals(source(), before);
  const again = await importing(["--from=qgreylist", dir]);
  assertEquals(
    again.stdout,
    `imported 0 of 5 entries from ${dir}: 0 known, 0 grey, 3 there already, ` +
      "2 expired, 1 unreadable\n",
  );
});

e2e("import: what is imported is what a connection finds", {}, async () => {
  clean();
  const dir = makeQgreylist();
  await importing(["--from=qgreylist", dir]);
  const binary = await compile();
  for (const ip of ["192.0.2.99", "198.51.100.1"]) {
    const { code, stdout } = await run([binary, "sh", "-c", "echo in"], {
      env: { TCPREMOTEIP: ip },
    });
    assertEquals([code, stdout], [0, "in\n"]);
  }
  assertEquals(entries(), {
    "192.0.2.0_24": 2,
    "198.51.100.0_24": 1,
    "203.0.113.0_24": 1,
  });
});

e2e("import: the better of both stays", {}, async () => {
  clean();
  const dir = makeQgreylist();
  makeEntry("192.0.2.0_24", 7, 30 * DAY);
  makeEntry("198.51.100.0_24", 1, 20 * DAY);
  makeEntry("203.0.113.0_24", 0, 60);
  const { code, stdout } = await importing(["--from=qgreylist", dir]);
  assertEquals(code, 0);
  assertEquals(
    stdout,
    `imported 2 of 5 entries from ${dir}: 2 known, 0 grey, 1 as the network ` +
      "around an address, 1 there already, 2 expired, 1 unreadable\n",
  );
  assertEquals(entry("192.0.2.0_24"), [7, 2 * DAY]);
  assertEquals(entry("198.51.100.0_24")[0], 1);
  assertEquals(entry("203.0.113.0_24"), [1, HOUR]);
});

e2e("import: match of whole addresses", {}, async () => {
  clean();
  const dir = makeQgreylist();
  const { code, stdout, stderr } = await importing(
    ["--from=qgreylist", dir],
    "",
    { match: { ipv4: 32, ipv6: 128 } },
  );
  assertEquals(code, 0);
  assertEquals(entries(), { "203.0.113.17": 1 });
  assertEquals(
    stdout,
    `imported 1 of 5 entries from ${dir}: 1 known, 0 grey, 4 wider than ` +
      "match, 1 unreadable\n",
  );
  assertMatch(
    stderr,
    /^greylist import: [\d.]+\.0\/24: wider than match.ipv4, 32: left out$/m,
  );
});

e2e("import: cqgreylist", {}, async () => {
  clean();
  const dir = emptyDir("cqgreylist");
  old("cqgreylist/192/192.0.2.17", HOUR, HOUR);
  old("cqgreylist/192/192.0.2.18", 2 * HOUR, 2 * HOUR);
  old("cqgreylist/10/10.0.0.1", 2 * DAY, 2 * DAY);
  old("cqgreylist/0/2001:db8::17", HOUR, 60);
  assertEquals(await importing(["--from=cqgreylist", dir]), {
    code: 0,
    stdout: `imported 3 of 4 entries from ${dir}: 0 known, 3 grey, 3 as the ` +
      "network around an address, 1 expired\n",
    stderr: "",
  });
  assertEquals(entry("192.0.2.0_24"), [0, 2 * HOUR]);
  assertEquals(entry("2001:db8::_64"), [0, HOUR]);
});

e2e("import: jgreylist, and its form for IPv6", {}, async () => {
  clean();
  const dir = emptyDir("jgreylist");
  old("jgreylist/192/000/002", 10 * DAY, DAY);
  old("jgreylist/ip4/198/051/100/017", 10 * DAY, DAY);
  old("jgreylist/203/000/113", HOUR, HOUR - 60);
  old("jgreylist/ip6/20/01/0d/b8/00/00/00/01", 10 * DAY, HOUR);
  const source = watch(dir);
  const before = source();
  assertEquals(await importing(["--from=jgreylist", dir]), {
    code: 0,
    stdout: `imported 4 of 4 entries from ${dir}: 3 known, 1 grey, 1 as the ` +
      "network around an address\n",
    stderr: "",
  });
  assertEquals(entry("192.0.2.0_24"), [1, DAY]);
  assertEquals(entry("198.51.100.0_24"), [1, DAY]);
  assertEquals(entry("203.0.113.0_24"), [0, HOUR]);
  assertEquals(entry("2001:db8:0:1::_64"), [1, HOUR]);
  assertEquals(source(), before);
});

e2e("import: spamdb", {}, async () => {
  clean();
  const white = (ip: string, pass: number, expire: number, count: number) =>
    `WHITE|${ip}|||${NOW - 50 * DAY}|${NOW - pass}|${NOW + expire}|2|${count}`;
  const grey = (ip: string, first: number) =>
    `GREY|${ip}|mx.example|<a@b.example>|<c@d.example>|${NOW - first}|` +
    `${NOW - first + 4 * HOUR}|${NOW - first + 4 * HOUR}|1|0`;
  const text = [
    white("192.0.2.1", 40 * DAY, 30 * DAY, 12),
    white("192.0.2.2", 40 * DAY, 35 * DAY, 3),
    white("198.51.100.1", 45 * DAY, -9 * DAY, 1),
    grey("203.0.113.1", HOUR),
    grey("203.0.113.1", 2 * HOUR),
    "TRAPPED|198.51.100.9|1700000000",
    "SPAMTRAP|trap@example.org",
    "",
    "nonsense",
    "",
  ].join("\n");
  const expected = {
    code: 0,
    stdout: "imported 4 of 5 entries from FILE: 2 known, 2 grey, 4 as the " +
      "network around an address, 1 expired, 1 unreadable\n",
    stderr: 'greylist import: FILE:9: "nonsense": expected a line of spamdb\n',
  };
  const file = writeFile("import-spamdb", text);
  const source = watch(file);
  const before = source();
  for (const [name, input] of [[file, ""], ["-", text]]) {
    clean();
    const { code, stdout, stderr } = await importing(
      ["--from=spamdb", name],
      input,
    );
    assertEquals({
      code,
      stdout: stdout.replace(name, "FILE"),
      stderr: stderr.replace(name, "FILE"),
    }, expected);
    assertEquals(entry("192.0.2.0_24"), [12, DAY]);
    assertEquals(entry("203.0.113.0_24"), [0, 2 * HOUR]);
  }
  assertEquals(source(), before);
});

for (const form of ["--json", "--csv"]) {
  e2e(
    `import: what info ${form} wrote, into an empty directory`,
    {},
    async () => {
      clean();
      makeEntry("192.0.2.0_24", 14, DAY);
      makeEntry("198.51.100.0_24", 0, HOUR);
      makeEntry("2001:db8::_64", 1, 30 * DAY);
      makeEntry("203.0.113.0_24", 0, 2 * DAY);
      const binary = await compile();
      const { stdout: listing } = await run([binary, "info", form]);
      const before = entries();
      const times = Object.keys(before).map((name) =>
        Math.ceil(entry(name)[1])
      );
      clean();
      const file = writeFile("import-listing", listing);
      assertEquals(await importing([file]), {
        code: 0,
        stdout: `imported 3 of 4 entries from ${file}: 2 known, 1 grey, ` +
          "1 expired\n",
        stderr: "",
      });
      delete before["203.0.113.0_24"];
      assertEquals(entries(), before);
      for (const name of Object.keys(before)) {
        assert(times.includes(entry(name)[1]), name);
      }
      // The same state, to the second, gives the same listing.
      const fields = (text: string) =>
        text.split("\n").filter((line) => !line.includes("203.0.113.0")).map(
          (line) => line.replace(/("first":|^((?:[^,]*,){3}))[^,]*/, "$1"),
        ).sort();
      const { stdout: again } = await run([binary, "info", form]);
      assertEquals(fields(again), fields(listing));
    },
  );
}

e2e("import: a name that no terminal should see", {}, async () => {
  clean();
  const dir = emptyDir("qgreylist");
  old("qgreylist/192.0.2.", 10 * DAY, 2 * DAY);
  old("qgreylist/evil\x1b[31m\nfoo", 0, 0);
  const { code, stderr } = await importing(["--from=qgreylist", dir]);
  assertEquals(code, 0);
  assertEquals(
    stderr,
    `greylist import: ${dir}/evil\\u{1b}[31m\\u{a}foo: expected an entry of ` +
      "qgreylist\n",
  );
});

e2e("import: root makes entries of the owner", { root: true }, async () => {
  clean();
  const dir = makeQgreylist();
  Deno.chownSync(BASE, 65_500, 65_501);
  const { code } = await importing(["--from=qgreylist", dir]);
  assertEquals(code, 0);
  const { uid, gid } = Deno.lstatSync(`${BASE}/192.0.2.0_24`);
  assertEquals([uid, gid], [65_500, 65_501]);
});

e2e("import: of another user, not as root", {
  root: true,
  programs: ["setpriv"],
}, async () => {
  clean();
  const binary = await compile();
  const dir = makeQgreylist();
  Deno.chmodSync(dir, 0o755);
  const other = ["--reuid=65500", "--regid=65500", "--clear-groups"];
  const command = ["setpriv", ...other, binary, "import", "--from=qgreylist"];
  const refused = await run([...command, dir]);
  assertEquals([refused.code, refused.stdout], [100, ""]);
  assertEquals(
    refused.stderr,
    `greylist import: baseDir ${BASE}: belongs to uid 0: expected to be run ` +
      "by that user or by root\n",
  );
  Deno.chownSync(BASE, 65_500, 65_500);
  const { code, stderr } = await run([...command, dir]);
  assertEquals(code, 0);
  assertMatch(
    stderr,
    /qgreylist: belongs to another user: the access times of its directories have changed\n/,
  );
  assertEquals(Deno.lstatSync(`${BASE}/192.0.2.0_24`).uid, 65_500);
});

e2e(
  "import: an entry that cannot be written does not stop the next ones",
  {},
  async () => {
    clean();
    const dir = makeQgreylist();
    Deno.mkdirSync(`${BASE}/192.0.2.0_24`);
    const { code, stdout, stderr } = await importing(["--from=qgreylist", dir]);
    assertEquals(code, 111);
    assertMatch(stdout, /^imported 2 of 5 entries from /);
    assertMatch(
      stderr,
      /\ngreylist import: 1 entry not written: \S+192\.0\.2\.0_24: a directory: expected a regular file\n$/,
    );
  },
);

e2e("import: wrong use", {}, async () => {
  clean();
  const file = writeFile("import-nonsense", "a table\n  of something\n");
  const nothing = writeFile("import-nothing", "\n\n");
  const empty = emptyDir("import-empty");
  const cases: [string[], RegExp][] = [
    [[], /FILE: is missing/],
    [["--from=qgreylist"], /DIR: is missing/],
    [["a", "b"], /b: expected one FILE/],
    [
      ["--from=postgrey", "a"],
      /--from=postgrey: expected qgreylist, cqgreylist, jgreylist, spamdb/,
    ],
    [
      ["--from=qgreylist", BASE],
      /\/base: is baseDir: expected another directory/,
    ],
    [["--from=qgreylist", file], /nonsense: Not a directory/],
    [["--from=qgreylist", `${ROOT}/none`], /none: No such file or directory/],
    [[`${ROOT}/none`], /none: No such file or directory/],
    [[ROOT], /is a directory: expected a file/],
    [
      [file],
      /nonsense:1: "a table": expected a line of greylist info --json or --csv \(and 1 more\)/,
    ],
    [
      ["--from=spamdb", file],
      /nonsense:1: "a table": expected a line of spamdb \(and 1 more\)/,
    ],
    [
      ["-"],
      /standard input: is empty: expected a line of greylist info --json or --csv/,
    ],
    [
      ["--from=spamdb", nothing],
      /nothing: is empty: expected a line of spamdb/,
    ],
    [
      ["--from=jgreylist", makeQgreylist()],
      /qgreylist\/\S+: expected an entry of jgreylist \(and 5 more\)/,
    ],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await importing(args);
    assertEquals([code, stdout], [100, ""], args.join(" "));
    assertMatch(stderr, new RegExp(`^greylist import: .*${message.source}\n$`));
  }
  assertEquals(await importing(["--from=qgreylist", empty]), {
    code: 0,
    stdout: `imported 0 of 0 entries from ${empty}: 0 known, 0 grey\n`,
    stderr: "",
  });
  // A heading is what info --csv writes for an empty database.
  assertEquals(await importing(["-"], "network,accepted,first,last\n"), {
    code: 0,
    stdout: "imported 0 of 0 entries from -: 0 known, 0 grey\n",
    stderr: "",
  });
  const missing = await importing(["-"], "", {
    baseDir: `${ROOT}/gone` as "/",
  });
  assertEquals(missing.code, 100);
  assertMatch(
    missing.stderr,
    /^greylist import: baseDir \S+\/gone: No such file or directory\n$/,
  );
});
