/**
 * The way of one connection through `serve`: who is it, is it exempt, what does
 * its entry say, as in the wrapper; then PROGRAM is started, or the client is
 * deferred right here.
 *
 * @module
 */

import {
  clientNetwork,
  formatAddress,
  formatNetwork,
  type Network,
} from "../address.ts";
import type { ResolvedConfig } from "../config.ts";
import { Dialogue } from "../smtp/dialogue.ts";
import { variable } from "../system/environment.ts";
import type { ExitStatus } from "../system/child.ts";
import { close } from "../system/descriptor.ts";
import type { Epoll } from "../system/epoll.ts";
import { readRegularFile } from "../system/file.ts";
import type { Accepted } from "../system/listener.ts";
import { localOf } from "../system/socket.ts";
import type { Logger } from "../log/targets.ts";
import { formatLine, quote } from "../log/line.ts";
import {
  type Exempt,
  fieldsOf,
  PROBLEM,
  refusalOf,
  trouble,
  warnOfOpenDirectory,
  type Who,
} from "../outcome.ts";
import type { Defer, Pass } from "../store/policy.ts";
import {
  bannerOf,
  dialogueOptions,
  greetingName,
  type Refusal,
  toldIn,
} from "../smtp/refusal.ts";
import { Store } from "../store/store.ts";
import { findExemption } from "../whitelist/exemption.ts";
import type { ServeConfig } from "./config.ts";
import { Announcement, Deferrals } from "./deferrals.ts";
import { tcpEnvironment } from "./environment.ts";
import { hostOf } from "./names.ts";
import { Programs, type Starter } from "./programs.ts";
import { admit } from "./rules.ts";
import { Whitelists } from "./whitelists.ts";

/** What connections are seen to with. */
export interface Setup {
  readonly config: ResolvedConfig;
  readonly serve: ServeConfig;
  readonly poll: Epoll;
  /** What is started, as the log names it. */
  readonly program: string;
  readonly starter: Starter;
  /** Opens the log, which then goes on in a file that may be a new one. */
  openLog(): Logger;
}

/**
 * How many descriptors a look-up takes up: the client's, and those of two
 * questions, for Deno asks two name servers at once. Uncounted they would leave
 * none for the store, and whoever comes then would be let in unchecked.
 */
const LOOKUP = 3;

/**
 * How long `serve` stays at the end for programs that are being started, and how
 * often it looks, in milliseconds. A disk that hangs must not hold it.
 */
const START = 2000;
const STARTED = 10;

/** Who is told that this is the wrong moment (RFC 5321 section 3.8). */
const BUSY: Refusal = {
  status: "4.3.2",
  text: "Too many connections, please try again later",
};

const STOPPING: Refusal = {
  status: "4.3.2",
  text: "Shutting down, please try again later",
};

/** A connection on its way through the check. */
interface Connection extends Accepted {
  readonly who: Who;
  readonly network: Network;
  /** The rule's variables. */
  readonly env: Readonly<Record<string, string>>;
  readonly host?: string;
}

/** All connections that are open. */
export class Reception {
  readonly #setup: Setup;
  readonly #deferrals: Deferrals;
  readonly #programs: Programs;
  readonly #whitelists: Whitelists;
  /** The variables of the whitelist that this process has. */
  readonly #inherited: ReadonlySet<string>;
  readonly #store: Store;
  /** Connections whose client's name is being looked up. */
  readonly #asked = new Set<number>();
  /** How many connections each client network has. */
  readonly #networks = new Map<string, number>();
  #log: Logger;
  #hostname = "";
  #stopping = false;
  /** Until when programs are waited for that are being started. */
  #patience = Infinity;

  constructor(setup: Setup) {
    const { config, serve, poll, starter } = setup;
    this.#setup = setup;
    this.#deferrals = new Deferrals(poll, config.deferral);
    const patience = config.deferral.sessionTimeout * 1000;
    this.#programs = new Programs(poll, starter, serve.limit, patience);
    const { whitelist } = config;
    this.#whitelists = new Whitelists(whitelist.files);
    this.#inherited = new Set(
      whitelist.env.filter((name) => variable(name) !== undefined),
    );
    this.#store = new Store(config.baseDir);
    this.#log = setup.openLog();
    this.#read();
  }

  /** The log as it is now. */
  get log(): Logger {
    return this.#log;
  }

  /** How many descriptors connections take up. */
  get open(): number {
    return this.#deferrals.size + this.#programs.descriptors +
      LOOKUP * this.#asked.size;
  }

  /** Whether somebody is still being told something, or given a program. */
  get isBusy(): boolean {
    return this.#deferrals.size > 0 ||
      this.#programs.starting > 0 && performance.now() < this.#patience;
  }

  /** Reads again what may have changed, and opens the log again. */
  reload(): void {
    const before = this.#log;
    this.#log = this.#setup.openLog();
    for (const handler of before.handlers) handler.destroy();
    this.#read();
  }

  #read(): void {
    const { config } = this.#setup;
    this.#hostname = greetingName(config.controlDir, variable);
    this.#whitelists.load(
      readRegularFile,
      (message) =>
        this.#log.warn(formatLine("whitelist", { what: quote(message) })),
    );
  }

  /**
   * Says 421 to whoever is being deferred or waits. Programs go on by
   * themselves.
   */
  stop(): void {
    this.#stopping = true;
    this.#patience = performance.now() + START;
    this.#programs.shutDown();
    for (const fd of this.#asked) this.#announce(fd, STOPPING);
    this.#asked.clear();
    this.#deferrals.shutDown(performance.now());
  }

  /** Goes on with a connection on which something has happened. */
  ready(fd: number, now: number): void {
    if (this.#deferrals.has(fd)) this.#deferrals.ready(fd, now);
    else this.#programs.ready(fd);
  }

  /** Goes on with what other threads have done. */
  settle(): void {
    this.#programs.settle();
  }

  /** When {@linkcode expire} has something to do, in milliseconds. */
  next(): number {
    // At the end nothing else tells that a program is there.
    const started = this.#stopping && this.#programs.starting > 0
      ? performance.now() + STARTED
      : Infinity;
    return Math.min(this.#deferrals.next(), this.#programs.next(), started);
  }

  /** Ends what has taken too long, and sees to programs that have ended. */
  expire(now: number): void {
    this.#deferrals.expire(now);
    this.#programs.expire(now);
  }

  /** Sees to a new connection. */
  welcome(accepted: Accepted): void {
    const { fd, peer } = accepted;
    const { config, serve } = this.#setup;
    const who: Who = { ip: formatAddress(peer.address) };
    const { rule, deny, env } = admit(serve.rules, peer.address);
    if (deny) {
      this.#log.info(formatLine("deny", { ...who, rule }));
      close(fd);
      return;
    }
    const network = clientNetwork(peer.address, config.match);
    who.net = formatNetwork(network);
    const connection: Connection = { ...accepted, who, network, env };
    if (serve.nameLookup) this.#lookUp(connection);
    else this.#decide(connection);
  }

  /** Never rejects. */
  async #lookUp(connection: Connection): Promise<void> {
    const { fd, peer } = connection;
    this.#asked.add(fd);
    const host = await hostOf(peer.address);
    if (this.#asked.delete(fd)) this.#decide({ ...connection, host });
    this.#setup.poll.wake();
  }

  #decide(connection: Connection): void {
    const { config } = this.#setup;
    const { fd, who } = connection;
    let verdict: Exempt | Defer | Pass | undefined;
    try {
      verdict = this.#exempt(connection);
      if (verdict === undefined && this.#isFull(who)) {
        this.#busy(fd, who, "limitPerNetwork");
        return;
      }
      verdict ??= this.#store.decide(
        connection.network,
        Date.now() / 1000,
        config.timeouts,
      );
    } catch (error) {
      const accept = config.onError === "accept";
      const line = { ...who, ...trouble(error) };
      this.#log.error(formatLine(accept ? "pass" : "defer", line));
      if (accept) this.#pass(connection);
      else this.#defer(connection, PROBLEM);
      return;
    }
    if (verdict.action === "pass") return this.#pass(connection, verdict);
    if (verdict.reason === "new") {
      warnOfOpenDirectory(config.baseDir, this.#log);
    }
    const refusal = refusalOf(config, this.#log, who, verdict);
    this.#defer(connection, refusal, verdict);
  }

  #exempt({ fd, peer, host, env }: Connection): Exempt | undefined {
    const { address } = peer;
    const rule = findExemption(this.#setup.config.whitelist, {
      address,
      host,
      localPort: () => localOf(fd)?.port,
      hasVariable: (name) =>
        Object.hasOwn(env, name) || this.#inherited.has(name),
    }, {
      search: (path, client) => this.#whitelists.search(path, client),
      warn: () => {},
    });
    return rule === undefined
      ? undefined
      : { action: "pass", reason: "whitelisted", rule };
  }

  #isFull({ net = "" }: Who): boolean {
    const { limitPerNetwork } = this.#setup.serve;
    const count = this.#networks.get(net) ?? 0;
    return limitPerNetwork > 0 && count >= limitPerNetwork;
  }

  /** Counts a connection. @returns what ends that */
  #count({ net = "" }: Who): () => void {
    const networks = this.#networks;
    networks.set(net, (networks.get(net) ?? 0) + 1);
    return () => {
      const left = (networks.get(net) ?? 0) - 1;
      if (left > 0) networks.set(net, left);
      else networks.delete(net);
    };
  }

  /** @param verdict none where the check has failed */
  #pass(connection: Connection, verdict?: Pass | Exempt): void {
    const { fd, who, env } = connection;
    const local = localOf(fd);
    if (local === undefined) return close(fd);
    const ended = this.#count(who);
    const name = variable("TCPLOCALHOST") ?? this.#hostname;
    const localHost = name || undefined;
    const variables = tcpEnvironment({ ...connection, local, localHost });
    this.#programs.run({
      fd,
      variables: { ...variables, ...env },
      starts: () => {
        if (verdict === undefined) return;
        this.#log.info(formatLine("pass", { ...who, ...fieldsOf(verdict) }));
      },
      failed: (error) => {
        ended();
        const what = quote(`${this.#setup.program}: ${error.message}`);
        // Its address is not in `ip`: the line of its verdict counts already.
        const line = { reason: "error", client: who.ip, what };
        this.#log.error(formatLine("defer", line));
        this.#announce(fd, PROBLEM);
      },
      ended: (how: ExitStatus) => {
        ended();
        const { pid, code, signal } = how;
        this.#log.info(formatLine("end", { ...who, pid, code, signal }));
      },
      waited: () => {
        ended();
        this.#busy(fd, who, "limit");
      },
      left: () => {
        ended();
        this.#log.info(formatLine("busy", { ...who, reason: "left" }));
      },
    }, performance.now());
  }

  #busy(fd: number, who: Who, reason: string): void {
    if (!this.#stopping) {
      this.#log.info(formatLine("busy", { ...who, reason }));
    }
    this.#announce(fd, this.#stopping ? STOPPING : BUSY);
  }

  /** Says 421 and hangs up. */
  #announce(fd: number, refusal: Refusal, closed = () => {}): void {
    const speaker = new Announcement(bannerOf(refusal));
    try {
      const now = performance.now();
      this.#deferrals.add(fd, speaker, now, { said: () => {}, closed });
    } catch {
      close(fd);
      closed();
    }
  }

  /** @param verdict none where the check has failed, which is logged already */
  #defer({ fd, who }: Connection, refusal: Refusal, verdict?: Defer): void {
    const { config, serve } = this.#setup;
    const closed = this.#count(who);
    const note = (told = {}) => {
      if (verdict === undefined) return;
      const { reason, wait } = verdict;
      this.#log.info(formatLine("defer", { ...who, reason, wait, ...told }));
    };
    const full = this.#deferrals.size >= serve.deferredLimit;
    if (full || config.deferral.at === "banner") {
      note();
      return this.#announce(fd, refusal, closed);
    }
    const dialogue = new Dialogue(dialogueOptions(refusal, this.#hostname));
    const said = () => note(toldIn(dialogue));
    try {
      this.#deferrals.add(fd, dialogue, performance.now(), { said, closed });
    } catch (error) {
      this.#log.error(formatLine("defer", { ...who, ...trouble(error) }));
      close(fd);
      closed();
    }
  }
}
