import { assertEquals } from "@std/assert";
import { Reminder } from "../../lib/serve/reminder.ts";

Deno.test("reminder: the first time, and a minute after the last time", () => {
  const reminder = new Reminder();
  const times = [0, 1, 59_999, 60_000, 60_001, 119_999, 120_000, 500_000];
  assertEquals(
    times.filter((now) => reminder.isDue(now)),
    [0, 60_000, 120_000, 500_000],
  );
});
