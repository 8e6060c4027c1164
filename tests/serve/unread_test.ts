import { assert } from "@std/assert";
import { e2e } from "../harness/need.ts";
import { DEADLINE, unsentBy } from "../harness/process.ts";
import { serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";

/** How many bytes the kernel may keep for a client that reads nothing. */
const MOST_UNSENT = 100_000;

e2e(
  "serve: replies that a client does not read are few",
  {},
  async () => {
    await using server = await serving();
    const client = await Client.connect(server.port);
    // Each reply is eleven times as long as its command.
    const sending = client.send("DATA\r\n".repeat(100_000)).catch(() => {});
    try {
      let before: number;
      let unsent = 0;
      const end = performance.now() + 1000 * DEADLINE;
      do {
        assert(performance.now() < end, "the replies do not settle");
        before = unsent;
        await new Promise((resolve) => setTimeout(resolve, 500));
        unsent = unsentBy(server.port);
      } while (unsent === 0 || unsent !== before);
      assert(unsent <= MOST_UNSENT, `${unsent} bytes`);
    } finally {
      client[Symbol.dispose]();
      await sending;
    }
  },
);
