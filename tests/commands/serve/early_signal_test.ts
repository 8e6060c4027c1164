import { assertEquals } from "@std/assert";
import { EarlySignal } from "../../../lib/commands/serve/early_signal.ts";

Deno.test("early signal: one that came before its handler is handled once", () => {
  const signal = new EarlySignal();
  let handled = 0;
  signal.come();
  signal.come();
  signal.handle(() => handled++);
  assertEquals(handled, 1);
  signal.come();
  signal.come();
  assertEquals(handled, 3);
});

Deno.test("early signal: without one, the handler waits", () => {
  const signal = new EarlySignal();
  let handled = 0;
  signal.handle(() => handled++);
  assertEquals(handled, 0);
  signal.come();
  assertEquals(handled, 1);
});
