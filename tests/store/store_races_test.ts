// Several processes write the same entry, or it vanishes meanwhile.

import { assert, assertEquals } from "@std/assert";
import { evaluation, moduleUrl } from "../harness/evaluate.ts";
import { type Outcome, run, waitFor } from "../harness/process.ts";
import { NAME, Place, ROWS, TIMEOUTS } from "../harness/store_place.ts";
import { temporary } from "../harness/temporary.ts";

/** Decides while the entry goes away between look and write. */
function decideVanishing(place: Place): string {
  place.store.meddle = (look) => {
    const entry = look();
    Deno.removeSync(place.path);
    return entry;
  };
  return place.decide();
}

Deno.test("store: an entry that vanishes between look and write", () => {
  // `prune` removes only expired entries, an administrator may remove any.
  const rows = ROWS.filter(([_, before]) => before !== undefined);
  for (const [name, before, verdict, [size, written]] of rows) {
    using place = new Place();
    place.put(...before!);
    assertEquals(decideVanishing(place), verdict, name);
    // If nothing was to be written, no entry is made.
    const wrote = written === "now";
    assertEquals(place.names(), wrote ? [NAME] : [], name);
    if (wrote) {
      assertEquals(
        place.stat(),
        { size, mode: 0o600, blocks: 0, written },
        name,
      );
    }
  }
});

Deno.test("store: an entry made anew is 0600 whatever the umask", () => {
  const before = Deno.umask(0o277);
  using place = new Place();
  Deno.umask(before);
  Deno.chmodSync(place.dir, 0o700);
  place.put(0, 100);
  Deno.umask(0o277);
  try {
    assertEquals(decideVanishing(place), "pass retried 1");
  } finally {
    Deno.umask(before);
  }
  assertEquals(place.stat().mode, 0o600);
});

Deno.test("store: an entry that vanishes after a lost race", () => {
  using place = new Place();
  let looks = 0;
  place.store.meddle = (look) => {
    // The first look comes before the winner's create, the second after
    // another process removed it.
    looks++;
    if (looks === 2) Deno.removeSync(place.path);
    const entry = look();
    if (looks === 1) place.put(0, 0);
    return entry;
  };
  assertEquals(place.decide(), "defer early 60");
  assertEquals(looks, 2);
});

Deno.test("store: the loser of a race reads the winner's entry", () => {
  const winners: [number, number, string][] = [
    [0, 0, "defer early 60"],
    [0, 100, "pass retried 1"],
    [1, 0, "pass known 2"],
  ];
  for (const [accepted, age, expected] of winners) {
    using place = new Place();
    let looks = 0;
    place.store.meddle = (look) => {
      const entry = look();
      if (++looks === 1) place.put(accepted, age);
      return entry;
    };
    assertEquals(place.decide(), expected);
  }
});

/**
 * Evaluates code in several processes.
 *
 * @param prepare what each does by itself
 * @param work what they begin at the same time
 */
async function atOnce(
  count: number,
  prepare: string,
  work: string,
): Promise<Outcome[]> {
  using dir = temporary();
  const start = `${dir.path}/start`;
  const code = `${prepare}
    Deno.writeTextFileSync(${JSON.stringify(dir.path)} + "/" + Deno.pid, "");
    while (true) {
      await new Promise((done) => setTimeout(done, 1));
      try {
        Deno.statSync(${JSON.stringify(start)});
        break;
      } catch {
        // Not yet.
      }
    }
    ${work}`;
  const outcomes = Promise.all(
    Array.from(
      { length: count },
      () => run(evaluation(code), { patience: 180 }),
    ),
  );
  const ready = () => [...Deno.readDirSync(dir.path)].length;
  await waitFor("all processes", () => ready() === count);
  Deno.writeTextFileSync(start, "");
  return await outcomes;
}

Deno.test("store: processes at once make one `new` a network", async () => {
  using place = new Place();
  const networks = 300;
  const prepare = `
    import { Store } from ${JSON.stringify(moduleUrl("lib/store/store.ts"))};
    const store = new Store(${JSON.stringify(place.dir)});
    const timeouts = ${JSON.stringify(TIMEOUTS)};`;
  const work = `
    let line = "";
    for (let i = 0; i < ${networks}; i++) {
      const { reason } = store.decide("2001:db8::" + i.toString(16), Date.now() / 1000, timeouts);
      line += reason + " ";
    }
    console.log(line.trim());`;
  const outcomes = await atOnce(3, prepare, work);
  const reasons = outcomes.map(({ code, stdout, stderr }) => {
    assertEquals([code, stderr], [0, ""]);
    return stdout.trim().split(" ");
  });
  for (let i = 0; i < networks; i++) {
    const got = reasons.map((of) => of[i]).toSorted();
    assertEquals(got, ["early", "early", "new"], `network ${i}`);
  }
  assertEquals(place.names().length, networks);
});

Deno.test("store: processes at once lose no pass", async () => {
  using place = new Place();
  place.put(0, 100);
  const prepare = `
    import { Store } from ${JSON.stringify(moduleUrl("lib/store/store.ts"))};
    const store = new Store(${JSON.stringify(place.dir)});
    const timeouts = ${JSON.stringify(TIMEOUTS)};`;
  const work = `
    let passes = 0;
    for (let i = 0; i < 100; i++) {
      const { action } = store.decide(${
    JSON.stringify(NAME)
  }, Date.now() / 1000, timeouts);
      if (action === "pass") passes++;
    }
    console.log(passes);`;
  const outcomes = await atOnce(2, prepare, work);
  const expected = { code: 0, stdout: "100\n", stderr: "" };
  assertEquals(outcomes, [expected, expected]);
  // A lost count is harmless, and a count that is too high would be wrong. With
  // both stopped at the worst moments, two of all the counts are left.
  const { size } = place.stat();
  assert(size >= 2 && size <= 200, `${size} accepted`);
});
