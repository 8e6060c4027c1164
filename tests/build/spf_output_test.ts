// The file that `deno task spf` replaces.

import { assert, assertEquals } from "@std/assert";
import { e2e } from "../harness/need.ts";
import { emptyDir, ROOT, writeFile } from "../harness/root.ts";
import {
  NEEDS,
  networks,
  OLD,
  SPECIAL,
  spf,
  spfBehind,
  ZONE,
} from "../harness/spf_task.ts";
import { startUnbound } from "../harness/unbound.ts";

e2e("spf: the file is replaced, its mode, owner and link stay", {
  ...NEEDS,
  root: true,
}, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const file = writeFile("spf/real", OLD, 0o640);
  Deno.chownSync(file, 65534, 12345);
  const { ino } = Deno.statSync(file);
  const link = `${ROOT}/spf/link`;
  Deno.symlinkSync(file, link);
  const made = await spf(
    "pool.spf.example",
    `--output=${link}`,
    `--server=127.0.0.1:${dns.port}`,
  );
  assertEquals(made.code, 0, made.stderr);
  assertEquals(Deno.readLinkSync(link), file);
  const { mode, uid, gid, ino: now } = Deno.statSync(file);
  assertEquals([mode! & 0o777, uid, gid], [0o640, 65534, 12345]);
  // In one step: another file has taken the place, nothing was written over.
  assert(now !== ino);
  assertEquals(networks(Deno.readTextFileSync(file)), [
    "192.0.2.0/24  # pool.spf.example > ip4",
  ]);
});

e2e("spf: 111 on a full disk, and the old file stays", {
  programs: [...NEEDS.programs, "mount", "unshare"],
  mounts: true,
}, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const directory = emptyDir("spf/full");
  const script = `mount -t tmpfs -o size=8k tmpfs "$0" || exit 1
printf '${OLD}' >"$0/file"
dd if=/dev/zero of="$0/filler" 2>/dev/null
"$@"
code=$?
ls -A "$0"
cat "$0/file"
exit $code`;
  const before = ["unshare", "--mount", "sh", "-c", script, directory];
  const output = `--output=${directory}/file`;
  const failed = await spfBehind(
    before,
    "pool.spf.example",
    output,
    `--server=127.0.0.1:${dns.port}`,
  );
  assertEquals([failed.code, failed.stdout], [111, `file\nfiller\n${OLD}`]);
  assertEquals(
    failed.told.at(-1),
    `greylist spf: --output: ${directory}/file: No space left on device`,
  );
});

e2e("spf: an output where no file can be", NEEDS, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const dir = emptyDir("spf/directory");
  const cases: [string, string][] = [
    [dir, "not a regular file"],
    ["/dev/full", "not a regular file"],
    [`${dir}/missing/file`, "No such file or directory"],
    [`${writeFile("spf/plain", "")}/file`, "Not a directory"],
  ];
  for (const [output, why] of cases) {
    const failed = await spf(
      "pool.spf.example",
      `--output=${output}`,
      `--server=127.0.0.1:${dns.port}`,
    );
    assertEquals(failed.code, 100, failed.stderr);
    assertEquals(
      failed.told.at(-1),
      `greylist spf: --output: ${output}: ${why}`,
    );
  }
});

e2e("spf: a file that it did not make stays", NEEDS, async () => {
  await using dns = await startUnbound({ "spf.example": ZONE }, SPECIAL);
  const server = `--server=127.0.0.1:${dns.port}`;
  emptyDir("spf");
  const kept = "# our friends\n# Made by us\n192.0.2.1\n";
  const file = writeFile("spf/whitelist", kept);
  const refused = await spf("pool.spf.example", `--output=${file}`, server);
  assertEquals([refused.code, refused.stdout], [100, ""], refused.stderr);
  // Nothing was looked up.
  assertEquals(refused.told, [
    `greylist spf: --output: ${file}: not made by deno task spf or pools: ` +
    "expected another file",
  ]);
  assertEquals(Deno.readTextFileSync(file), kept);

  const empty = writeFile("spf/empty", "");
  // The second time, it replaces what it has made.
  for (const domain of ["pool.spf.example", "split.spf.example"]) {
    const made = await spf(domain, `--output=${empty}`, server);
    assertEquals(made.code, 0, made.stderr);
    assertEquals(networks(Deno.readTextFileSync(empty)).length, 1);
  }
});
