// Runs first: it takes long.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { clean, compile } from "../harness/binary.ts";
import { makeEntry, namesIn } from "../harness/entry.ts";
import { e2e, programPath } from "../harness/need.ts";
import { gone } from "../harness/process.ts";
import { BASE, emptyDir, LOG, ROOT } from "../harness/root.ts";
import { ATTEMPT, burst } from "../harness/smtp.ts";
import { tcpserver } from "../harness/way_in.ts";

const TOTAL = 1_000_000;
const DAY = 86400;

/** Accepted count and age of each tenth of the entries; the last is forgotten. */
const KINDS: [number, number][] = Array.from({ length: 10 }, (_, i) => [
  i % 2 * (i + 1),
  i === 9 ? 40 * DAY : 600 + i,
]);

// However long a test takes, its client has to be early. Without a section serve
// there are no compilers of V8, which take memory.
const CONFIG: Partial<Config> = {
  serve: undefined,
  timeouts: { delay: "1h" },
};

/**
 * A million names. A file of each kind has many of them (hard links), which
 * costs a tenth of as many files; to a listing it is the same.
 */
function makeMillion(): void {
  clean();
  const files = emptyDir("million");
  for (let i = 0; i < TOTAL; i++) {
    // Few file systems let one file have more than 65,000 names.
    const kind = `${i % 10}-${Math.floor(i / 500_000)}`;
    if (i % 500_000 < 10) makeEntry(kind, ...KINDS[i % 10], files);
    const name = `${10 + (i >> 16)}.${i >> 8 & 255}.${i & 255}.0_24`;
    Deno.linkSync(`${files}/${kind}`, `${BASE}/${name}`);
  }
}

const SUMMARY =
  /^1,000,000 entries: 500000 grey, 400000 known, 100000 expired; /;

/**
 * Runs a command whose output is only counted.
 *
 * @returns lines, and the most memory that it had, in megabytes
 */
async function measure(command: string[]) {
  const child = new Deno.Command(command[0], {
    args: command.slice(1),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let lines = 0;
  let memory = 0;
  const look = () => {
    try {
      const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
      memory = Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? memory);
    } catch {
      // It has ended, and what is left is in the pipe.
    }
  };
  const timer = setInterval(look, 20);
  const stderr = new Response(child.stderr).text();
  for await (const chunk of child.stdout) {
    for (const byte of chunk) if (byte === 10) lines++;
    look();
  }
  clearInterval(timer);
  const { code } = await child.status;
  return { code, lines, memory: memory / 1000, stderr: await stderr };
}

/** Runs a command that may take longer than others of these tests. */
async function long(...command: string[]) {
  const { code, stdout } = await new Deno.Command("timeout", {
    args: ["1200", ...command],
    stdin: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout) };
}

e2e("a million entries", { programs: ["tcpserver", "script"] }, async (t) => {
  const binary = await compile(CONFIG);
  makeMillion();

  for (const args of [[], ["--sort=last"], ["--sort=address"]]) {
    await t.step(`info --json ${args} in 150 MB`, async () => {
      const found = await measure([binary, "info", "--json", ...args]);
      assertEquals([found.code, found.lines], [0, TOTAL]);
      assertMatch(found.stderr, SUMMARY);
      assert(found.memory > 10 && found.memory <= 150, `${found.memory} MB`);
    });
  }

  await t.step("a bar on a terminal, gone at the end", async () => {
    const { stdout } = await long(
      "script",
      "-qec",
      `${binary} info --json >/dev/null`,
      "/dev/null",
    );
    // Each drawing ends by clearing the rest of its line.
    const drawn = /^(?:\r[\d,]+ entries<K>)+\r<K>(.*)$/s
      .exec(stdout.replaceAll("\x1b[K", "<K>"));
    assertMatch(drawn?.[1] ?? stdout, SUMMARY);
  });

  await t.step("prune --dry-run", async () => {
    const { stdout } = await long(binary, "prune", "--dry-run");
    assertEquals(stdout, "would remove 100,000 of 1,000,000 entries\n");
  });

  await t.step("by itself: a second a run, until all are gone", async () => {
    const server = await tcpserver.start({
      binary,
      next: [programPath("true")],
      life: 1800,
    });
    await using _server = server;
    // Where it stopped each time; empty means that it came to the end.
    const places: string[] = [];
    const times: number[] = [];
    do {
      const began = performance.now();
      const reply = await burst(server.port, ATTEMPT.join("\r\n") + "\r\n");
      times.push(performance.now() - began);
      assertMatch(reply, /\r\n451 4\.7\.1 /);
      await gone(binary);
      places.push(Deno.readTextFileSync(`${BASE}/.prune`));
      assert(places.length < 2000);
    } while (places.at(-1) !== "");
    assert(places.length > 1, "a second was enough for all");
    // The client has its last reply and the end, and only then it is pruned: each run
    // but the last takes a second.
    const fastest = Math.min(...times.slice(0, -1));
    assert(fastest < 1000, `${fastest} ms`);
    assertEquals(new Set(places).size, places.length);
    for (const place of places.slice(0, -1)) assertMatch(place, /^\d{19}$/);
    const { stdout } = await long(binary, "prune", "--dry-run");
    assertEquals(stdout, "would remove 0 of 900,001 entries\n");
    assert(!Deno.readTextFileSync(LOG).includes(" prune "));
  });

  await t.step("prune", async () => {
    for (const kind of namesIn(`${ROOT}/million`)) {
      makeEntry(kind, 0, 2 * DAY, `${ROOT}/million`);
    }
    const { code, stdout } = await long(binary, "prune");
    assertEquals([code, stdout], [0, "removed 900,000 of 900,001 entries\n"]);
    assertEquals(namesIn(), [".prune", "127.0.0.0_24"]);
  });
});

e2e("import: a million entries", { programs: ["script"] }, async (t) => {
  const binary = await compile(CONFIG);
  clean();
  const file = `${ROOT}/million.csv`;
  const now = Math.floor(Date.now() / 1000);
  const lines = ["network,accepted,first,last"];
  for (let i = 0; i < TOTAL; i++) {
    const network = `${10 + (i >> 16)}.${i >> 8 & 255}.${i & 255}.0/24`;
    const [accepted, age] = KINDS[i % 10];
    lines.push(`${network},${accepted},,${now - age}`);
  }
  Deno.writeTextFileSync(file, lines.join("\n"));
  const dry = [binary, "import", "--dry-run", file];

  await t.step("in 150 MB", async () => {
    const found = await measure(dry);
    assertEquals([found.code, found.lines, found.stderr], [0, 1, ""]);
    assert(found.memory > 10 && found.memory <= 150, `${found.memory} MB`);
  });

  await t.step("a bar on a terminal, gone at the end", async () => {
    const { stdout } = await long("script", "-qec", dry.join(" "), "/dev/null");
    assertMatch(
      stdout.replaceAll("\x1b[K", "<K>"),
      /^(?:\r\[#*\.*\] +\d+ % {2}\d+ of \d+ MB<K>)+\r<K>would import 900,000 of 1,000,000 entries from \S+: 400,000 known, 500,000 grey, 100,000 expired\r\n$/,
    );
  });
});
