// Runs paired: its clients come 400 at once.

import { assertEquals } from "@std/assert";
import { e2e } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import { waitFor } from "../harness/process.ts";
import { lines, serving } from "../harness/serving.ts";

/** How many programs run at once. */
const LIMIT = 20;

/** How many clients wait for one. */
const CLIENTS = 2400;

/** How many of them are connected at once. */
const AT_ONCE = 400;

/** How long the last of them may wait, in seconds. */
const PATIENCE = 240;

/** The text that a client reads until the end of the stream. */
async function rest(conn: Deno.TcpConn): Promise<string> {
  let text = "";
  for await (const chunk of conn.readable) {
    text += new TextDecoder().decode(chunk);
  }
  return text;
}

e2e(
  `serve: at a limit of ${LIMIT}, ${CLIENTS} clients wait and none is lost`,
  {},
  async () => {
    await using server = await serving({
      whitelist: { networks: ["127.0.0.0/8"] },
      deferral: { sessionTimeout: `${PATIENCE}s` },
      serve: { limit: LIMIT, deferredLimit: CLIENTS },
    }, { life: 2 * PATIENCE });
    const { port } = server;
    // They connect while programs end, so that descriptors are used again.
    let begun = 0;
    const answers: string[] = [];
    const oneByOne = async () => {
      while (begun < CLIENTS) {
        begun++;
        const conn = await Deno.connect({ port });
        // The program reads the line when it has been started.
        await conn.write(new TextEncoder().encode("QUIT\r\n"));
        // An error thrown here would hide how many other clients got nothing.
        answers.push(await rest(conn).catch(String));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, oneByOne));
    const expected = `${NEXT}\r\n250 QUIT\r\n`;
    const others = answers.filter((text) => text !== expected);
    assertEquals(others, []);
    const count = (word: string) =>
      lines().filter((line) => line.startsWith(`${word} `)).length;
    await waitFor("all ends", () => count("end") >= CLIENTS);
    assertEquals(
      [count("pass"), count("end"), count("busy")],
      [CLIENTS, CLIENTS, 0],
    );
  },
);
