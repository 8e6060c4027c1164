// The disk or a limit of the process takes no write.

import { assertEquals } from "@std/assert";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import { NAME, Place, TIMEOUTS } from "../harness/store_place.ts";

/** Evaluates code that has a place, NETWORK and a file size limit at hand. */
function evaluateLimited(place: Place, code: string) {
  return evaluate(`
    import { Store } from ${JSON.stringify(moduleUrl("lib/store/store.ts"))};
    import { ignoreFileSizeSignal } from ${
    JSON.stringify(moduleUrl("lib/system/signals.ts"))
  };
    const store = new Store(${JSON.stringify(place.dir)});
    const decide = () =>
      store.decide(${JSON.stringify(NAME)}, Date.now() / 1000, ${
    JSON.stringify(TIMEOUTS)
  });
    const libc = Deno.dlopen("libc.so.6", {
      // int setrlimit(int resource, const struct rlimit *rlim);
      setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    });
    const RLIMIT_FSIZE = 1;
    const limit = (bytes) =>
      libc.symbols.setrlimit(
        RLIMIT_FSIZE,
        new Uint8Array(new BigUint64Array([bytes, 2n ** 64n - 1n]).buffer),
      );
    ignoreFileSizeSignal();
    ${code}`);
}

Deno.test("store: a file size limit stops the count, not the mail", async () => {
  using place = new Place();
  place.put(1, 100);
  const { code, stdout, stderr } = await evaluateLimited(
    place,
    `
    limit(0n);
    const { action, reason } = decide();
    limit(2n ** 64n - 1n);
    console.log(action, reason);`,
  );
  assertEquals([code, stdout, stderr], [0, "pass known\n", ""]);
  assertEquals(place.stat(), {
    size: 1,
    mode: 0o600,
    blocks: 0,
    written: "now",
  });
});

Deno.test("store: a retry that cannot be written is an error", async () => {
  using place = new Place();
  place.put(0, 100);
  const { code, stdout, stderr } = await evaluateLimited(
    place,
    `
    limit(0n);
    let text;
    try {
      text = decide().action;
    } catch (error) {
      text = error.name + " " + error.message;
    }
    limit(2n ** 64n - 1n);
    console.log(text);`,
  );
  assertEquals([code, stdout, stderr], [
    0,
    `StoreError ${place.path}: ftruncate: File too large\n`,
    "",
  ]);
  assertEquals(place.stat().size, 0);
});

Deno.test("store: a new entry needs no disk block", async () => {
  using place = new Place();
  const { code, stdout } = await evaluateLimited(
    place,
    `
    limit(0n);
    const { reason } = decide();
    limit(2n ** 64n - 1n);
    console.log(reason);`,
  );
  assertEquals([code, stdout], [0, "new\n"]);
});
