import { assert, assertEquals } from "@std/assert";
import { portsOf } from "../../lib/build/ports.ts";

Deno.test("ports: a test file that runs by itself has all of them", () => {
  assertEquals(portsOf(), { first: 10_000, count: 22_000 });
  assertEquals(portsOf("0/1"), portsOf());
});

Deno.test("ports: no two workers have a port in common", () => {
  for (const workers of [2, 3, 5, 17]) {
    let end = 10_000;
    for (let worker = 0; worker < workers; worker++) {
      const { first, count } = portsOf(`${worker}/${workers}`);
      assertEquals(first, end);
      assert(count > 1000);
      end = first + count;
    }
    assert(end <= 32_000);
  }
});
