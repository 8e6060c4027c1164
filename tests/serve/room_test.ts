import { assertEquals } from "@std/assert";
import { roomFor } from "../../lib/serve/descriptors.ts";
import { ClientRoom } from "../../lib/serve/room.ts";

Deno.test("room: the log is told once a minute that there is none", () => {
  const { held, asked } = roomFor(1144, 40);
  let used = 0;
  const said: string[] = [];
  const room = new ClientRoom(1144, 40, () => used, (what) => said.push(what));
  used = held - 1;
  assertEquals([room.mayHold(0), room.mayAsk(0), said], [true, true, []]);
  used = held;
  assertEquals([room.mayHold(1), room.mayAsk(1)], [false, true]);
  used = asked;
  assertEquals([room.mayHold(60_000), room.mayAsk(60_000)], [false, false]);
  assertEquals(said, [
    "few descriptors left: not every client gets a dialogue, a name or a " +
    "verdict: expected a higher limit (LimitNOFILE=, softlimit -o)",
  ]);
  room.mayHold(60_001);
  assertEquals(said, [said[0], said[0]]);
});
