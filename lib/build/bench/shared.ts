/**
 * What `serve` does in a second on a base directory that several hosts share,
 * beside a program that does nothing but create files there, and beside `serve`
 * as it was before it knew of such file systems.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";
import { TemporaryError } from "../../commands/command.ts";
import type { Config } from "../../config.ts";
import { Cluster, lackOf } from "../hosts/glusterfs.ts";
import { publicAddress, type Running } from "../hosts/hosts.ts";
import { ROOT } from "../std.ts";
import { baseOf, compileConfig, serveSection } from "./binaries.ts";
import type { Flood } from "./flood.ts";
import { type Bench, expectQuiet, logOf } from "./plan.ts";
import { numberIn, runFlood } from "./servers.ts";
import { DEFERRED } from "./sessions.ts";
import { median } from "./statistics.ts";
import type { Section } from "./table.ts";

/** A commit at which `serve` made each client's calls on its event loop. */
const EARLIER = "893633d";

/** How many connections are open. */
const CLIENTS = 100;

/** How many threads the program in C has. */
const THREADS = 16;

/** How often all take turns, and for how long each, in seconds. */
const ROUNDS = 3;
const SECONDS = 4;

/** The first addresses of the clients' networks. */
const FROM = "10.128.0.7";

/** `serve` of one version. */
interface Contender {
  readonly key: string;
  readonly text: string;
  readonly port: number;
  readonly fresh: Flood[];
  readonly early: Flood[];
}

/**
 * Measures them on three hosts of this machine with GlusterFS between them.
 *
 * @throws {TemporaryError} if something is not installed
 */
export async function measureShared(bench: Bench): Promise<Section> {
  const lack = lackOf("gcc", "git", "tar");
  if (lack !== undefined) throw new TemporaryError(`--shared: ${lack}`);
  const { say } = bench;
  const base = baseOf(bench);
  await Deno.mkdir(base, { mode: 0o700 });
  const create = await compileC(bench);
  const config: Config = {
    baseDir: base as Config["baseDir"],
    controlDir: bench.scratch as Config["controlDir"],
    timeouts: { delay: "1h" },
    // Pruning is not what is measured.
    prune: { every: 0 },
    serve: serveSection(),
  };
  await Deno.writeTextFile(join(bench.scratch, "me"), "mx.example\n");
  say("compiling serve");
  const binary = await compileConfig(bench, "serve", config);
  const tree = await earlierTree(bench);
  if (tree !== undefined) say(`compiling serve of ${EARLIER}`);
  const earlier = tree && await compileConfig(bench, "earlier", config, tree);

  say("bringing up three hosts");
  const hosts = join(bench.scratch, "hosts");
  await Deno.mkdir(hosts);
  await using cluster = await Cluster.up(hosts, base);
  const host = cluster.host(1);
  const servers: Running[] = [];
  const begin = async (
    key: string,
    text: string,
    port: number,
    path: string,
  ): Promise<Contender> => {
    const place = `${publicAddress(1)}:${port}`;
    const errors = `${logOf(bench)}.${key}`;
    await Deno.writeTextFile(errors, "");
    servers.push(host.start([path, "serve", place, "--", "true"], errors));
    const line = new RegExp(`^serve on=.*:(${port}) `, "m");
    await numberIn(bench, errors, line, text);
    return { key, text, port, fresh: [], early: [] };
  };
  const contenders = [await begin("serve", "serve", 2525, binary)];
  const before = `serve of ${EARLIER}`;
  if (earlier !== undefined) {
    contenders.push(await begin("earlier", before, 2526, earlier));
  }

  const created: number[] = [];
  let networks = 0;
  for (let round = 0; round < ROUNDS; round++) {
    say(`shared, round ${round + 1} of ${ROUNDS}: files`);
    const said = await host.must(
      [create, base, String(THREADS), String(SECONDS), `.created.${round}`],
    );
    const [count, seconds] = said.split(" ").map(Number);
    created.push(count / seconds);
    for (const { text, port, fresh, early } of contenders) {
      bench.signal.throwIfAborted();
      say(`shared, round ${round + 1} of ${ROUNDS}: ${text}`);
      const flood = (first: number, count: number) =>
        runFlood(bench, {
          ...DEFERRED,
          port,
          clients: CLIENTS,
          seconds: SECONDS,
          strangers: first,
          site: { to: publicAddress(1), from: FROM, count },
        }, cluster.hosts.pid);
      fresh.push(await flood(networks, MOST));
      networks += fresh.at(-1)!.sessions;
      early.push(await flood(0, networks));
    }
  }
  for (const { key } of contenders) await expectQuiet(`${logOf(bench)}.${key}`);

  const rate = (floods: readonly Flood[]) =>
    median(floods.map(({ sessions, seconds }) => sessions / seconds));
  const [serve, old] = contenders;
  const files = median(created);
  const row = ({ key, text, fresh, early }: Contender) => ({
    key,
    text,
    values: {
      fresh: rate(fresh),
      freshRatio: rate(fresh) / files,
      early: rate(early),
      ...old && { earlyRatio: rate(early) / rate(old.early) },
      p99: median(fresh.map(({ p99 }) => p99)),
    },
  });
  return {
    key: "shared",
    title: `SHARED, A SECOND (${CLIENTS} clients)`,
    columns: [
      { key: "fresh", heading: "new", digits: 0 },
      { key: "freshRatio", heading: "ratio", digits: 2 },
      { key: "early", heading: "early", digits: 0 },
      { key: "earlyRatio", heading: "ratio", digits: 2 },
      { key: "p99", heading: "p99 ms", digits: 0 },
    ],
    rows: [
      {
        key: "create",
        text: `files made by ${THREADS} threads in C`,
        values: { fresh: files, freshRatio: 1 },
      },
      row(serve),
      old === undefined
        ? { key: "earlier", text: before, absent: "not in the history here" }
        : row(old),
    ],
  };
}

/** How many networks there are behind {@linkcode FROM}. */
const MOST = 32_000;

/** @throws {TemporaryError} with what the compiler said */
async function compileC(bench: Bench): Promise<string> {
  bench.say("compiling create.c");
  const source = fromFileUrl(new URL("create.c", import.meta.url));
  const output = join(bench.scratch, "create");
  await command("gcc", "-O2", "-pthread", "-o", output, source);
  return output;
}

/**
 * Takes the sources of the earlier version out of the project's history.
 *
 * @returns their directory, undefined if the history is not there or does not
 * reach that far
 */
async function earlierTree(bench: Bench): Promise<URL | undefined> {
  const root = fromFileUrl(ROOT);
  const dir = join(bench.scratch, "tree");
  const archive = `${dir}.tar`;
  try {
    await command("git", "-C", root, "archive", "-o", archive, EARLIER);
  } catch {
    return undefined;
  }
  await Deno.mkdir(dir);
  await command("tar", "-x", "-C", dir, "-f", archive);
  return new URL(`file://${dir}/`);
}

async function command(name: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(name, { args }).output();
  if (code === 0) return;
  const said = new TextDecoder().decode(stderr).trim();
  throw new TemporaryError(`${name}: exit ${code}: ${said}`);
}
