import { assertEquals } from "@std/assert";
import {
  ALIVE,
  NOTIFY_VARIABLES,
  ready,
  reloading,
  stopping,
  tickInterval,
} from "../../lib/serve/notify_message.ts";

Deno.test("notify: messages are lines of name=value, as sd_notify(3) has them", () => {
  assertEquals(ready("on 25"), "READY=1\nSTATUS=on 25");
  assertEquals(
    reloading(123456789012n, "files"),
    "RELOADING=1\nMONOTONIC_USEC=123456789012\nSTATUS=files",
  );
  assertEquals(stopping("bye"), "STOPPING=1\nSTATUS=bye");
  assertEquals(ALIVE, "WATCHDOG=1");
  // A status cannot say anything else.
  assertEquals(ready("a\nSTOPPING=1"), "READY=1\nSTATUS=a STOPPING=1");
});

Deno.test("notify: the variables of sd_notify(3) and sd_watchdog_enabled(3)", () => {
  assertEquals(
    NOTIFY_VARIABLES.toSorted(),
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"],
  );
});

Deno.test("notify: ticks come in half the time that WATCHDOG_USEC gives", () => {
  assertEquals(tickInterval({ WATCHDOG_USEC: "30000000" }, 42), 15_000);
  assertEquals(
    tickInterval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "42" }, 42),
    15_000,
  );
});

Deno.test("notify: no ticks unless the manager expects them of this process", () => {
  const usec = "30000000";
  for (
    const variables of [
      {},
      { WATCHDOG_PID: "42" },
      { WATCHDOG_USEC: usec, WATCHDOG_PID: "43" },
      { WATCHDOG_USEC: usec, WATCHDOG_PID: "" },
      ...["", "0", "-1", "1e9", "soon", "9".repeat(30)].map((text) => ({
        WATCHDOG_USEC: text,
      })),
    ]
  ) assertEquals(tickInterval(variables, 42), undefined);
});
