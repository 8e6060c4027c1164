// Runs alone: it replaces and restarts a listener hundreds of times under load.
//
// Nobody is refused meanwhile: each client gets a banner, or a 421 that says when
// to come back.

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { addListener, clean } from "../harness/binary.ts";
import { HOLDER_PROGRAMS, holding } from "../harness/holder.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import {
  childrenOf,
  freePort,
  isListening,
  startServer,
  waitFor,
} from "../harness/process.ts";
import { LOG, ROOT, writeFile } from "../harness/root.ts";
import { lines } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import {
  askUntil,
  installed,
  notUpgradable,
  STALLED,
  upgradable,
} from "../harness/upgrading.ts";

/** How often it is replaced or restarted; elsewhere than in CI it is a tenth. */
const PART = Deno.env.get("CI") === "true" ? 1 : 10;
const UPGRADES = 500 / PART;
const RESTARTS = 100 / PART;

/** How long until the next client comes, in milliseconds. */
const APART = 20;

/** How long a client that had a program needs none, in milliseconds. */
const WISH = 50;

/** How many programs run at once: fewer than there are clients for them. */
const LIMIT = 3;

/** How many clients want a program at once; one more has one all the time. */
const WANT = 4;

const CONFIG: Partial<Config> = {
  // Longer than all of it takes: whoever is deferred is deferred to the end.
  timeouts: { delay: "1h" },
  whitelist: { networks: ["127.0.5.0/24"] },
  serve: { limit: LIMIT },
};

const COMEBACK = /^421 4\.3\.2 .*shutting down/i;
const DEFERRED = /^220 mx\.example /;

function sleep(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Clients that come as long as a test goes on, and what became of them. */
class Crowd {
  readonly #port: number;
  readonly #coming: Promise<void>[] = [];
  #isOver = false;
  /** How many were accepted, deferred, and told to come back before either. */
  readonly count = { accepted: 0, deferred: 0, sentBack: 0 };
  /** Everything that no client may meet. */
  readonly wrong: string[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  /** A client comes every {@linkcode APART} milliseconds, whoever is there yet. */
  async steady(): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      const from = `127.0.9.${1 + n % 250}`;
      this.#coming.push(
        this.#deferred(from, (client) => client.send("QUIT\r\n")),
      );
      await sleep(APART);
    }
  }

  /** A client that stays until it is told to go, and comes again. */
  async staying(from: string): Promise<void> {
    while (!this.#isOver) {
      await this.#deferred(from, async (client) => {
        // It was on its way when the last image was told to end. Nobody tells the
        // next one.
        if (this.#isOver) await client.send("QUIT\r\n");
      });
    }
  }

  /** A client that wants a program, again and again. */
  async wanting(from: string): Promise<void> {
    while (!this.#isOver) {
      await this.#client(from, async (client, banner) => {
        if (COMEBACK.test(banner)) {
          this.count.sentBack++;
          return "";
        }
        assertEquals(banner, NEXT);
        this.count.accepted++;
        await client.send("QUIT\r\n");
        return "250 QUIT\r\n";
      });
      await sleep(WISH);
    }
  }

  #deferred(from: string, then: (client: Client) => Promise<void>) {
    return this.#client(from, async (client, banner) => {
      if (COMEBACK.test(banner)) {
        this.count.sentBack++;
        return "";
      }
      assertMatch(banner, DEFERRED);
      this.count.deferred++;
      await then(client);
      const last = await client.reply() ?? "hung up";
      assert(last.startsWith("221 ") || COMEBACK.test(last), last);
      return "";
    });
  }

  /** @param talk returns what has to come in the end */
  async #client(
    from: string,
    talk: (client: Client, banner: string) => Promise<string>,
  ): Promise<void> {
    try {
      using client = await Client.connectFrom(this.#port, { from });
      const banner = await client.reply() ?? "hung up";
      const expected = await talk(client, banner);
      assertEquals(await client.rest(), expected);
      assertEquals(client.wasReset, false);
    } catch (error) {
      this.wrong.push(`${from}: ${(error as Error).message}`);
    }
  }

  /** Lets nobody come any more, and waits for those that are there. */
  async end(all: Promise<void>[], release: () => void): Promise<void> {
    this.#isOver = true;
    release();
    await Promise.all(all);
    await Promise.all(this.#coming);
  }
}

/** Counts lines of the log as it grows; nothing waits for that. */
function counter(pattern: RegExp): () => number {
  const decoder = new TextDecoder();
  let seen = 0;
  let rest = "";
  let count = 0;
  return () => {
    using log = Deno.openSync(LOG);
    log.seekSync(seen, Deno.SeekMode.Start);
    // Only what is new: the log becomes long, and a counter is asked often.
    const bytes = new Uint8Array(log.statSync().size - seen);
    const length = log.readSync(bytes) ?? 0;
    seen += length;
    rest += decoder.decode(bytes.subarray(0, length), { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (pattern.test(line)) count++;
    return count;
  };
}

/** Lines about something wrong besides a machine that stalls. */
const troubles = () =>
  lines().filter((line) => /^(warn|error) /.test(line) && !STALLED.test(line));

const lineCount = (word: string) =>
  lines().filter((line) => line.startsWith(`${word} `)).length;

e2e(
  `serve: ${UPGRADES} SIGUSR2s under load refuse nobody, and lose no program`,
  { kernel: notUpgradable },
  async () => {
    await using server = await upgradable(CONFIG, { life: 240 + 6 * UPGRADES });
    const { port, pid } = server;
    let ended: number | undefined;
    server.code.then((code) => ended = code);
    // It is there from the first image to the last.
    using accepted = await Client.connectFrom(port, { from: "127.0.5.1" });
    assertEquals(await accepted.reply(), NEXT);

    const crowd = new Crowd(port);
    const all = [
      crowd.steady(),
      crowd.staying("127.0.7.1"),
      ...Array.from(
        { length: WANT },
        (_, n) => crowd.wanting(`127.0.5.${n + 2}`),
      ),
    ];
    const done = counter(/ upgrade=done /);
    const stalled = counter(STALLED);
    const next = (i: number) =>
      askUntil(
        `upgrade ${i}`,
        () => Deno.kill(pid, "SIGUSR2"),
        stalled,
        () => done() === i || ended !== undefined,
      );
    for (let i = 1; i <= UPGRADES; i++) {
      await next(i);
      assertEquals(ended, undefined, server.stderr());
    }
    // The client that stays needs somebody to tell it to go.
    const last = Promise.withResolvers<void>();
    await crowd.end(all, () => last.resolve(next(UPGRADES + 1)));
    await last.promise;
    console.log(crowd.count);
    assertEquals(crowd.wrong, []);
    await accepted.send("one\r\n");
    assertEquals(await accepted.reply(), "250 one");
    const { count } = crowd;
    assert(count.accepted > UPGRADES && count.deferred > UPGRADES);
    await waitFor("all ends", () => lineCount("end") >= count.accepted);
    assertEquals(
      [lineCount("pass"), lineCount("end"), lineCount("defer")],
      [count.accepted + 1, count.accepted, count.deferred],
    );
    assertEquals(childrenOf(pid).length, 1);
    assertEquals(troubles(), []);
    assertEquals(server.stderr(), "");
  },
);

e2e(
  `serve: ${RESTARTS} restarts behind a holder of its socket refuse nobody`,
  { programs: [...HOLDER_PROGRAMS], kernel: notUpgradable },
  async () => {
    clean();
    const binary = await installed(CONFIG);
    const port = freePort();
    const errors = writeFile("holder.stderr", "");
    await using server = startServer(
      holding([binary, "serve", "--", ...greeter()], { port, again: true }),
      errors,
      {},
      240 + 10 * RESTARTS,
    );
    addListener(binary);
    await waitFor("the holder to listen", () => isListening(port));
    const holder = server.pid;
    const starts = counter(/ serve on=/);
    const stalled = counter(STALLED);
    await waitFor("the first start", () => hasLog() && starts() === 1);

    const crowd = new Crowd(port);
    const all = [crowd.steady(), crowd.staying("127.0.7.1")];
    const signal = (i: number) => {
      // Some are upgrades: the socket is handed over too if it was given.
      const name = i % 10 === 5 ? "SIGUSR2" : "SIGTERM";
      Deno.kill(childrenOf(holder)[0], name);
    };
    for (let i = 1; i <= RESTARTS; i++) {
      await askUntil(
        `start ${i}`,
        () => signal(i),
        stalled,
        () => starts() === i + 1,
      );
    }
    await crowd.end(all, () => signal(0));
    console.log(crowd.count);
    assertEquals(crowd.wrong, []);
    assert(crowd.count.deferred > RESTARTS);
    await waitFor("the last start", () => starts() === RESTARTS + 2);
    assertEquals(lineCount("defer"), crowd.count.deferred);
    assertEquals(troubles(), []);
    assertEquals(Deno.readTextFileSync(`${ROOT}/holder.stderr`), "");
  },
);

function hasLog(): boolean {
  try {
    return Deno.statSync(LOG).isFile;
  } catch {
    return false;
  }
}
