// Runs paired: it sends thousands of signals under load.

import { assert, assertEquals } from "@std/assert";
import type { Path } from "../../lib/config.ts";
import { emptyLog } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { NEXT } from "../harness/next_program.ts";
import { waitFor } from "../harness/process.ts";
import { LOG, ROOT, writeFile } from "../harness/root.ts";
import { lines, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";

/** How many SIGHUPs there are; elsewhere than in CI it is a tenth. */
const SIGNALS = Deno.env.get("CI") === "true" ? 5000 : 500;

/** The time between two of them, in milliseconds. */
const APART = 5;

/** How long there may be too few clients, in milliseconds. */
const PATIENCE = 300_000;

/** How many programs run at once: fewer than there are clients for them. */
const LIMIT = 4;

const FILE = `${ROOT}/hup-whitelist` as Path;
const FILES = ["127.0.5.0/24\n", "127.0.5.0/24\n/^no\\./\n127.0.6.1\n"];

/** How many clients of each kind are connected at once. */
const AT_ONCE = { accepted: 8, deferred: 4 };

const ANSWERS = {
  accepted: `${NEXT}\r\n250 QUIT\r\n`,
  deferred: /^220 mx\.example ESMTP\r\n250 .*\r\n221 [^\r]*\r\n$/,
};

e2e(
  `serve: ${SIGNALS} SIGHUPs under load end no session and lose no client`,
  {},
  async () => {
    writeFile("hup-whitelist", FILES[0]);
    await using server = await serving({
      // Longer than all of it takes: deferred clients are deferred to the end.
      timeouts: { delay: "1h" },
      // One client says nothing while all the signals come.
      deferral: { idleTimeout: "20m", sessionTimeout: "20m" },
      whitelist: { files: [FILE] },
      serve: { limit: LIMIT },
    }, { life: 1200 });
    const { port, pid } = server;
    let ended: number | undefined;
    server.code.then((code) => ended = code);
    emptyLog();

    // Two clients that stay from the first signal to the last.
    using accepted = await Client.connectFrom(port, { from: "127.0.5.1" });
    assertEquals(await accepted.reply(), NEXT);
    using deferred = await Client.connectFrom(port, { from: "127.0.7.1" });
    assert((await deferred.reply())!.startsWith("220 mx.example"));

    let isOver = false;
    const count = { accepted: 0, deferred: 0 };
    const wrong: string[] = [];
    const come = async (kind: "accepted" | "deferred", n: number) => {
      const from = kind === "accepted"
        ? `127.0.5.${n + 2}`
        : `127.0.8.${n + 2}`;
      while (!isOver && ended === undefined) {
        let text = "";
        try {
          using client = await Client.connectFrom(port, { from });
          await client.send(
            kind === "accepted" ? "QUIT\r\n" : "HELO a\r\nQUIT\r\n",
          );
          text = await client.rest();
        } catch (error) {
          text = String(error);
        }
        const expected = ANSWERS[kind];
        const good = typeof expected === "string"
          ? text === expected
          : expected.test(text);
        if (!good) wrong.push(`${kind}: ${JSON.stringify(text)}`);
        count[kind]++;
      }
    };
    const clients = (["accepted", "deferred"] as const).flatMap((kind) =>
      Array.from({ length: AT_ONCE[kind] }, (_, n) => come(kind, n))
    );
    const hasLoad = () =>
      Math.min(count.accepted, count.deferred) > SIGNALS / 10;
    const lastTime = Date.now() + PATIENCE;
    // On a slow machine the clients take longer than so many signals do.
    const goesOn = (i: number) =>
      i < SIGNALS || (!hasLoad() && Date.now() < lastTime);
    for (let i = 0; goesOn(i) && ended === undefined; i++) {
      Deno.writeTextFileSync(`${FILE}.new`, FILES[i % FILES.length]);
      Deno.renameSync(`${FILE}.new`, FILE);
      Deno.kill(pid, "SIGHUP");
      await new Promise((done) => setTimeout(done, APART));
    }
    isOver = true;
    await Promise.all(clients);
    const last = () => Deno.readTextFileSync(LOG).slice(-2000);
    assertEquals(ended, undefined, `${last()}\n${server.stderr()}`);
    assertEquals(wrong, []);
    await accepted.send("one\r\n");
    assertEquals(await accepted.reply(), "250 one");
    await deferred.send("NOOP\r\n");
    assert((await deferred.reply())!.startsWith("250 "));
    assert(hasLoad(), JSON.stringify(count));
    console.log(count);

    // Every client has its line, whichever log file was open: it is the same one.
    const lineCount = (word: string) =>
      lines().filter((line) => line.startsWith(`${word} `)).length;
    await waitFor("all ends", () => lineCount("end") >= count.accepted);
    assertEquals(
      [lineCount("pass"), lineCount("end"), lineCount("defer")],
      [count.accepted + 1, count.accepted, count.deferred],
    );
    const trouble = lines().filter((line) => /^(warn|error) /.test(line));
    assertEquals(trouble, []);
    assertEquals(server.stderr(), "");
  },
);
