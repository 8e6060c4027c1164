/**
 * MX hosts that share a base directory on GlusterFS, each with the wrapper under
 * tcpserver and with `serve`, and clients from any network.
 *
 * @module
 */

import { Cluster, PROGRAMS } from "../../lib/build/hosts/glusterfs.ts";
import {
  type Host,
  publicAddress,
  type Running,
} from "../../lib/build/hosts/hosts.ts";
import { enterNetwork } from "../../lib/build/hosts/network.ts";
import type { Config } from "../../lib/config.ts";
import { clean, compile, logLines, SERVE } from "./binary.ts";
import { fuseObstacle } from "./fuse.ts";
import "./libc.ts";
import { type Needs, programPath } from "./need.ts";
import { greeter } from "./next_program.ts";
import { waitFor } from "./process.ts";
import { BASE, emptyDir, LOG, ROOT } from "./root.ts";
import { ATTEMPT, Client } from "./smtp.ts";
import { Stopwatch } from "./stopwatch.ts";

/** The needs of every test with such hosts. */
export const MX_NEEDS: Needs = {
  programs: [...PROGRAMS, "hostname", "prlimit", "tcpserver", "timeout"],
  root: true,
  mounts: true,
  kernel: fuseObstacle,
};

/** The two ways in, and the port of each. */
export const PORTS = { wrapper: 25, serve: 2525 } as const;

/** One of the two ways in. */
export type Way = keyof typeof PORTS;

/** Both of them. */
export const WAYS: readonly Way[] = ["wrapper", "serve"];

/** As many programs at once as any test needs. */
const MOST_WRAPPERS = 300;

/** The replies to a client and their times, in seconds from its first packet on. */
export interface Talk {
  readonly transcript: readonly string[];
  /** When the first line came. */
  readonly greeted: number;
  /** When the connection was over. */
  readonly ended: number;
}

/** The hosts of one test file. */
export class Mx implements AsyncDisposable {
  readonly #network: Disposable;
  #running: Running[] = [];

  private constructor(readonly cluster: Cluster) {
    this.#network = enterNetwork(cluster.hosts.pid);
  }

  /** Brings up three hosts, on none of which anything listens yet. */
  static async up(): Promise<Mx> {
    clean();
    const dir = emptyDir("mx");
    return new Mx(await Cluster.up(dir, BASE, [`${ROOT}/log`]));
  }

  /** Host `number`, from 1 on. */
  host(number: number): Host {
    return this.cluster.host(number);
  }

  /**
   * Starts one way in at a host, and waits until it takes connections.
   *
   * @param most how many wrappers tcpserver starts at once
   */
  async listen(
    number: number,
    way: Way,
    binary: string,
    most: number = MOST_WRAPPERS,
  ): Promise<Running> {
    const host = this.host(number);
    const address = publicAddress(number);
    const port = PORTS[way];
    const line = way === "serve"
      ? [binary, "serve", `${address}:${port}`, "--"]
      : [
        ...[programPath("tcpserver"), "-HRl0", "-b1000", `-c${most}`],
        ...[address, String(port), binary],
      ];
    const running = host.start(
      ["prlimit", "--nofile=8192", ...line, ...greeter()],
      `${host.dir}/${way}.stderr`,
    );
    this.#running.push(running);
    await waitFor(`${way} at host ${number}`, async () => {
      const hostname = publicAddress(number);
      try {
        const from = "10.255.255.1";
        using client = await Client.connectFrom(port, { hostname, from });
        await client.reply();
        return true;
      } catch {
        return false;
      }
    });
    return running;
  }

  /** Ends all servers, and removes all entries and log lines. */
  async restart(): Promise<void> {
    for (const running of this.#running) await running[Symbol.asyncDispose]();
    this.#running = [];
    for (const name of this.entries()) Deno.removeSync(this.path(name));
    for (const host of this.cluster.members) {
      Deno.removeSync(`${host.dir}${LOG}`, { recursive: true });
    }
  }

  /** The path of an entry on host 1. Use it only while host 1 answers. */
  path(entry: string): string {
    return `/proc/${this.host(1).pid}/root${BASE}/${entry}`;
  }

  /** The names of all entries. */
  entries(): string[] {
    return [...Deno.readDirSync(this.path(""))].map(({ name }) => name)
      .filter((name) => !name.startsWith(".") && name !== "10.255.255.0_24")
      .sort();
  }

  /** Makes an entry older, instead of waiting. */
  age(entry: string, seconds: number): void {
    const path = this.path(entry);
    const mtime = Deno.statSync(path).mtime!.getTime() / 1000 - seconds;
    Deno.utimeSync(path, mtime, mtime);
  }

  /** The lines of a host's log without their times. */
  log(number: number): string[] {
    return logLines(`${this.host(number).dir}${LOG}`)
      .map((line) => line.replace(/^\S+Z /, ""));
  }

  /** The warnings and errors in all logs. */
  troubles(): string[] {
    return this.cluster.members.flatMap(({ number }) =>
      this.log(number).filter((line) => /^(warn|error) /.test(line))
        .map((line) => `h${number}: ${line}`)
    );
  }

  /** Waits until a host's log has a line. */
  logged(number: number, pattern: RegExp): Promise<string> {
    return waitFor(
      `${pattern} in the log of host ${number}`,
      () => this.log(number).find((line) => pattern.test(line)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#network[Symbol.dispose]();
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** The binary of these hosts. */
export function compileMx(config: Partial<Config> = {}): Promise<string> {
  return compile({
    ...config,
    serve: { ...SERVE, limit: MOST_WRAPPERS, ...config.serve },
  });
}

/** The address of client `number`, from a network of its own, and its entry. */
export function clientOf(number: number) {
  const net = `10.${128 + (number >> 8)}.${number & 255}`;
  return { from: `${net}.7`, entry: `${net}.0_24`, net: `${net}.0/24` };
}

/**
 * How long a client waits for a reply, in seconds: 200 wrappers that start at once
 * take a minute on a slow machine.
 */
const PATIENCE = 180;

/** A client that makes one attempt to send a message. */
export async function attempt(
  host: number,
  way: Way,
  from: string,
): Promise<Talk> {
  const watch = new Stopwatch();
  const hostname = publicAddress(host);
  const options = { hostname, from, patience: PATIENCE };
  using client = await Client.connectFrom(PORTS[way], options);
  const transcript: string[] = [];
  let greeted = NaN;
  for (const line of [undefined, ...ATTEMPT]) {
    if (line !== undefined) {
      try {
        await client.send(`${line}\r\n`);
      } catch {
        break; // The server has hung up.
      }
    }
    const reply = await client.reply();
    if (reply === undefined) break;
    if (line === undefined) greeted = watch.seconds;
    transcript.push(reply);
  }
  return { transcript, greeted, ended: watch.seconds };
}
