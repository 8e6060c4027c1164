// Runs alone: it measures how long clients wait.

import { assert, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { parseAddress } from "../../lib/address.ts";
import { reverseName } from "../../lib/serve/host_name.ts";
import { asking, openDns, ownAddress } from "../harness/dns.ts";
import { e2e } from "../harness/need.ts";
import { waitFor } from "../harness/process.ts";
import { LOG } from "../harness/root.ts";
import { lines, serving } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";
import { Stopwatch } from "../harness/stopwatch.ts";

// One address that connects without end, and clients of other networks.

/** How many connections a second one address makes. */
const PER_SECOND = 800;

/** How many clients of one address have a name server that never answers. */
const LOOKUPS = 400;

/** How many other clients connect, each from a network of its own. */
const OTHERS = 60;

/** The time between two of these clients, in milliseconds. */
const APART = 50;

/** How long they may wait for their banner, in milliseconds. */
const LIMITS = { median: 100, most: 500 };

/** The descriptors that the defaults want: see `greylist help serve`. */
const DESCRIPTORS = 1208;
const limited = ["sh", "-c", `ulimit -n ${DESCRIPTORS}; exec "$@"`, "sh"];

/** How long clients waited for their banner, in milliseconds. */
interface Waits {
  readonly median: number;
  readonly most: number;
}

let round = 0;

/** Connects from many networks, one after the other. */
async function others(port: number): Promise<Waits> {
  round++;
  const waits: number[] = [];
  await Promise.all(Array.from({ length: OTHERS }, async (_, i) => {
    await new Promise((done) => setTimeout(done, i * APART));
    const watch = new Stopwatch();
    const from = `127.${100 + round}.${i}.1`;
    using client = await Client.connectFrom(port, { from });
    const banner = await client.reply();
    waits.push(watch.seconds * 1000);
    assertMatch(banner ?? "none", /^220 mx\.example /);
    await client.send("QUIT\r\n");
    await client.rest();
  }));
  waits.sort((a, b) => a - b);
  return { median: waits[OTHERS / 2], most: waits[OTHERS - 1] };
}

/**
 * The wait without an attack is added to the limits, since the machine may be
 * busy with something else.
 */
function assertWithin(quiet: Waits, attacked: Waits): void {
  const shown = (waits: Waits) =>
    `median ${waits.median.toFixed(1)} ms, most ${waits.most.toFixed(1)} ms`;
  const text = `quiet: ${shown(quiet)}; attacked: ${shown(attacked)}`;
  console.log(text);
  for (const key of ["median", "most"] as const) {
    assert(attacked[key] <= LIMITS[key] + quiet[key], text);
  }
}

e2e(
  `serve: ${PER_SECOND} connections a second of one address hold up no other client`,
  {},
  async () => {
    await using server = await serving(
      { serve: { limitPerNetwork: undefined } },
      { before: limited },
    );
    const { port } = server;
    const quiet = await others(port);
    const url = new URL("../harness/flooder.ts", import.meta.url);
    const flooder = new Worker(url, { type: "module" });
    try {
      flooder.postMessage({ port, perSecond: PER_SECOND });
      // The log does not come to rest meanwhile, as logged() expects it to.
      await waitFor(
        "the first that is turned away",
        () => Deno.readTextFileSync(LOG).includes(" reason=limitPerNetwork"),
      );
      const begun = performance.now();
      const attacked = await others(port);
      const seconds = (performance.now() - begun) / 1000;
      const told = Promise.withResolvers<number>();
      flooder.onmessage = ({ data }) => told.resolve(data);
      flooder.postMessage("stop");
      const made = await told.promise;
      assertWithin(quiet, attacked);
      assert(made > 0.8 * PER_SECOND * seconds, `${made} in ${seconds} s`);
    } finally {
      flooder.terminate();
    }
    // No connection is left, and descriptors did not run out.
    const what = lines().filter((line) => /^error /.test(line));
    assert(what.length === 0, what.join("\n"));
  },
);

const OWN = ownAddress() ?? "";
const OWN_PTR = reverseName(parseAddress(OWN || "192.0.2.1")!).slice(0, -1);

/** limitPerNetwork keeps one address from so many connections; 0 does not. */
for (const limitPerNetwork of [undefined, 0]) {
  e2e(
    `serve: ${LOOKUPS} clients whose name is never found hold up no other client` +
      (limitPerNetwork === 0 ? ", limitPerNetwork 0" : ""),
    {
      programs: ["unshare", "mount"],
      mounts: true,
      kernel: () =>
        OWN === "" ? "this machine has no address but 127.0.0.1" : undefined,
    },
    async () => {
      let asked = 0;
      await using _dns = openDns(
        {},
        {},
        (name) => name === OWN_PTR && ++asked > 0,
      );
      const config: Partial<Config> = {
        whitelist: { hosts: [".example"] },
        serve: { nameLookup: true, limitPerNetwork },
      };
      await using server = await serving(config, {
        before: [...asking(), ...limited],
      });
      const { port } = server;
      const quiet = await others(port);
      const silent: Client[] = [];
      for (let i = 0; i < LOOKUPS; i++) {
        silent.push(await Client.connectFrom(port, { from: OWN }));
      }
      await waitFor("questions", () => asked > 0);
      const attacked = await others(port);
      for (const client of silent) client[Symbol.dispose]();
      assertWithin(quiet, attacked);
      const what = lines().filter((line) => /^error /.test(line));
      assert(what.length === 0, what.join("\n"));
    },
  );
}
