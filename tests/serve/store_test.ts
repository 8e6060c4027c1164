import { assertEquals, assertMatch } from "@std/assert";
import { Bookmark } from "../../lib/store/bookmark.ts";
import { age, clean, compile, entries, logLines } from "../harness/binary.ts";
import { makeEntry, namesIn } from "../harness/entry.ts";
import "../harness/libc.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { gone, waitFor } from "../harness/process.ts";
import { BASE } from "../harness/root.ts";
import { logged, serving, withUser } from "../harness/serving.ts";
import { ATTEMPT, talk } from "../harness/smtp.ts";
import { denyingAndSlowing } from "../harness/strace.ts";
import { serve, tcpserver } from "../harness/way_in.ts";

const DAY = 86400;

// Opened before any test; see harness/libc.ts.
clean();
Bookmark.take(BASE)!.leave(0n);

e2e(
  "serve store: the wrapper and serve side by side are one greylist",
  { programs: ["tcpserver"] },
  async () => {
    await using server = await serving();
    const { binary } = server;
    await using wrapper = await tcpserver.start({ binary, next: greeter() });
    const banner = async ({ port }: { port: number }) =>
      (await talk(port, ATTEMPT)).at(0);

    assertMatch((await talk(wrapper.port))[3], /^451 4\.7\.1 /);
    await logged(/ defer .*reason=new /);
    assertMatch((await talk(server.port))[3], /^451 4\.7\.1 /);
    await logged(/ defer .*reason=early /);
    age("127.0.0.0_24", 100);
    assertEquals(await banner(server), NEXT);
    await logged(/ pass .*reason=retried .*accepted=1$/);
    assertEquals(await banner(wrapper), NEXT);
    await logged(/ pass .*reason=known .*accepted=2$/);
    assertEquals(await banner(server), NEXT);
    await logged(/ pass .*reason=known .*accepted=3$/);
    assertEquals(entries(), { "127.0.0.0_24": 3 });
    await gone(binary, serve.resident);
  },
);

/** Makes a number of forgotten entries, and one that is still valid. */
function forgotten(count: number): void {
  for (let i = 0; i < count; i++) {
    makeEntry(`10.${i >> 8}.${i & 255}.0_24`, 1, 99 * DAY);
  }
  makeEntry("192.0.2.0_24", 1, DAY);
}

/** The names of all entries, while they are being removed. */
function names(): string[] {
  return namesIn(BASE).filter((name) => !name.startsWith("."));
}

e2e(
  "serve store: it prunes by itself, and only if no other process does",
  {},
  async () => {
    clean();
    const count = 3000;
    forgotten(count);
    // Another process has begun to prune.
    Bookmark.take(BASE)!.leave(1n);
    const bookmark = Bookmark.take(BASE)!;
    const binary = await compile(withUser({}));
    await using server = await serve.start({ binary, next: greeter() });
    // serve leaves the entries to the process that has the bookmark.
    for (let i = 0; i < 3; i++) {
      assertMatch((await talk(server.port))[3], /^451 4\.7\.1 /);
    }
    assertEquals(Object.keys(entries()).length, count + 2);
    bookmark.leave(1n);
    await waitFor(
      "the entries to be gone",
      () => names().length === 2,
    );
    assertEquals(entries(), { "127.0.0.0_24": 0, "192.0.2.0_24": 1 });
    // All entries were looked at, so the next run is a whole interval away.
    await waitFor(
      "the bookmark",
      () => Deno.statSync(`${BASE}/.prune`).size === 0,
    );
  },
);

e2e("serve store: without a block for the bookmark it prunes to the end", {
  programs: ["strace"],
}, async () => {
  clean();
  forgotten(100);
  makeEntry(".prune", 0, DAY);
  // It takes two pieces of a second and more, and no position can be written.
  const before = denyingAndSlowing(["pwrite64", "ENOSPC"], ["unlinkat", 0.03]);
  const binary = await compile(withUser({}));
  await using server = await serve.start({ binary, next: greeter(), before });
  assertMatch((await talk(server.port))[3], /^451 4\.7\.1 /);
  await waitFor("the entries to be gone", () => names().length === 2);
  await waitFor(
    "the time of a complete run",
    () => Date.now() - Deno.statSync(`${BASE}/.prune`).mtime!.getTime() < 1e5,
  );
  assertEquals(logLines().filter((line) => / prune /.test(line)), []);
});

e2e("serve store: with prune.every 0 it never prunes", {}, async () => {
  clean();
  forgotten(10);
  // So that the log has a line when serve looks at the directory.
  Deno.chmodSync(BASE, 0o777);
  const binary = await compile(withUser({ prune: { every: 0 } }));
  await using server = await serve.start({ binary, next: greeter() });
  await logged(/ error baseDir /);
  // The first pruning would come two seconds after the start.
  await new Promise((resolve) => setTimeout(resolve, 4000));
  assertMatch((await talk(server.port))[3], /^451 4\.7\.1 /);
  await logged(/ defer /);
  assertEquals(Object.keys(entries()).length, 12);
  assertEquals(
    [...Deno.readDirSync(BASE)].some(({ name }) => name === ".prune"),
    false,
  );
});
