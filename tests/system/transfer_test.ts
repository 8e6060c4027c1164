import { assert, assertEquals } from "@std/assert";
import { close } from "../../lib/system/descriptor.ts";
import { receive, send, shutdownWriting } from "../../lib/system/transfer.ts";
import { pair } from "../harness/pair.ts";
import { waitFor } from "../harness/process.ts";

function text(bytes: Uint8Array | undefined | "gone"): string | undefined {
  return bytes instanceof Uint8Array ? new TextDecoder().decode(bytes) : bytes;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** What arrives, which takes a moment even here. */
function arrival(fd: number): Promise<string> {
  return waitFor("bytes", () => text(receive(fd)));
}

Deno.test("transfer: receiving never waits", async () => {
  using connection = await pair();
  const { fd, client } = connection;
  assertEquals(receive(fd), undefined);
  await client.write(bytes("one"));
  assertEquals(await arrival(fd), "one");
  assertEquals(receive(fd), undefined);
  await client.closeWrite();
  assertEquals(await arrival(fd), "gone");
  assertEquals(receive(fd), "gone");
  // The other direction is open still.
  assertEquals(send(fd, "bye"), 3);
  close(fd);
  assertEquals(await connection.rest(), "bye");
  assertEquals(receive(fd), "gone");
});

Deno.test("transfer: sending never waits, and loses nothing", async () => {
  using connection = await pair();
  const { fd } = connection;
  // No line of it is the same as another.
  const lines = Array.from({ length: 1 << 20 }, (_, i) => `${i}`.padStart(15));
  const text = lines.join("\n");
  // All replies to what serve reads at once are fewer bytes.
  assertEquals(send(fd, text), 65_536);
  let sent = 65_536;
  let count: number | "gone";
  // Until it would have to wait.
  while ((count = send(fd, text.slice(sent))) !== 0) {
    assert(count !== "gone");
    sent += count;
  }
  shutdownWriting(fd);
  assertEquals(await connection.rest() === text.slice(0, sent), true);
  close(fd);
});

Deno.test("transfer: sending to a client that has gone raises no signal", async () => {
  using connection = await pair();
  const { fd } = connection;
  connection.client.close();
  await waitFor("the reset", () => send(fd, "anybody?") === "gone");
  assertEquals(receive(fd), "gone");
  close(fd);
});
