/**
 * How a connection of `serve` continues after its check: with PROGRAM, with the
 * dialogue of a deferral, or with a 421.
 *
 * @module
 */

import { formatNetwork } from "../address.ts";
import type { ResolvedConfig } from "../config.ts";
import {
  type Decision,
  DECISION_VARIABLE,
  deferLine,
  passLine,
  startFailureLine,
  variableFor,
} from "../decision.ts";
import { type ClientFields, errorFields, formatLine } from "../log/line.ts";
import { Dialogue } from "../smtp/dialogue.ts";
import {
  bannerOf,
  BUSY,
  dialogueOptions,
  LOCAL_PROBLEM,
  type Refusal,
  STOPPING,
} from "../smtp/refusal.ts";
import type { Defer } from "../store/policy.ts";
import type { ExitStatus } from "../system/child.ts";
import { close } from "../system/descriptor.ts";
import { variable } from "../system/environment.ts";
import type { Epoll } from "../system/epoll.ts";
import { localOf } from "../system/socket.ts";
import { send, shutdownWriting } from "../system/transfer.ts";
import type { ChildClient, Children } from "./children.ts";
import type { ServeConfig } from "./config.ts";
import type { Closable, Connection } from "./connection.ts";
import { DeferredClients, singleReply } from "./deferred_clients.ts";
import type { ClientRoom } from "./room.ts";
import type { SiteFiles } from "./site_files.ts";
import { tcpEnvironment } from "./tcp_environment.ts";

/** What {@linkcode Dispatch} needs. */
export interface DispatchOptions {
  readonly config: ResolvedConfig;
  readonly serve: ServeConfig;
  readonly epoll: Epoll;
  /** The name of PROGRAM, for the log. */
  readonly program: string;
  readonly children: Children;
  readonly files: SiteFiles;
  /**
   * Whether this is the first process of a PID namespace, as in a container. The
   * kernel kills all others when it ends (pid_namespaces(7)).
   */
  readonly isFirst: boolean;
}

/**
 * How long `serve` waits at its end for child processes that are being started,
 * in milliseconds. A disk that hangs must not hold it.
 */
const START_TIMEOUT = 2000;

/** How often it looks meanwhile whether they have started, in milliseconds. */
const START_INTERVAL = 10;

/** What is expected of a load balancer that sends a header from another address. */
const PROXY_ADVICE = "expected its balancer in serve.proxy";

/** The connections that are past their check. Times are milliseconds. */
export class Dispatch {
  readonly #options: DispatchOptions;
  readonly #deferred: DeferredClients;
  readonly #children: Children;
  readonly #room: Pick<ClientRoom, "mayHold">;
  /**
   * Whether a child between fork and exec may have copies of descriptors. The client
   * would learn of a close(2) only at that exec, which waits for the disk.
   */
  readonly #hasCopies = () => this.#children.starting > 0;
  #stopping = false;
  /** Until when child processes that are being started are waited for. */
  #startDeadline = Infinity;

  /** @param room whether a client may have a dialogue, or wait for a place */
  constructor(options: DispatchOptions, room: Pick<ClientRoom, "mayHold">) {
    const { config, epoll, children } = options;
    this.#options = options;
    const { deferral } = config;
    this.#deferred = new DeferredClients(epoll, deferral, this.#hasCopies);
    this.#children = children;
    this.#room = room;
  }

  get #log() {
    return this.#options.files.log;
  }

  /** The number of descriptors in use. */
  get descriptors(): number {
    return this.#deferred.size + this.#children.descriptors;
  }

  /** Those of clients that are being deferred or wait for PROGRAM. */
  get held(): number {
    return this.#deferred.size + this.#children.waiting;
  }

  /** Whether a dialogue or the start of a child process is under way. */
  get isTalking(): boolean {
    return this.#deferred.size > 0 ||
      this.#children.starting > 0 && performance.now() < this.#startDeadline;
  }

  /**
   * Whether {@linkcode isTalking}, or a program runs that would end with this
   * process.
   */
  get isBusy(): boolean {
    return this.isTalking ||
      this.#options.isFirst && this.#children.running > 0;
  }

  /**
   * Answers 421 to clients that are being deferred or wait for PROGRAM. Child
   * processes run on.
   */
  stop(): void {
    this.#stopping = true;
    const now = performance.now();
    this.#startDeadline = now + START_TIMEOUT;
    this.#children.shutDown();
    this.#deferred.shutDown(now);
  }

  /** Goes on after {@linkcode stop}. */
  resume(): void {
    this.#stopping = false;
    this.#startDeadline = Infinity;
    this.#deferred.resume();
  }

  /** Continues with a descriptor that is ready. */
  ready(fd: number, now: number): void {
    if (this.#deferred.has(fd)) this.#deferred.ready(fd, now);
    else this.#children.ready(fd);
  }

  /** Takes note of child processes that other threads have started. */
  settle(): void {
    this.#children.settle();
  }

  /** When {@linkcode expire} has something to do. */
  next(): number {
    // No event reports that a child process has started.
    const started = this.#stopping && this.#children.starting > 0
      ? performance.now() + START_INTERVAL
      : Infinity;
    return Math.min(this.#deferred.next(), this.#children.next(), started);
  }

  /**
   * Ends dialogues and waits that have taken too long, and finds the ends of
   * children that could not be watched.
   */
  expire(now: number): void {
    this.#deferred.expire(now);
    this.#children.expire(now);
  }

  /**
   * Starts PROGRAM on a connection.
   *
   * @param decision undefined if the check has failed
   */
  pass(connection: Connection, decision?: Decision): void {
    const { fd, client, env, release } = connection;
    const local = connection.local ?? localOf(fd);
    // The client has reset the connection.
    if (local === undefined) return this.close(connection);
    const { hostname } = this.#options.files;
    const localHost = (variable("TCPLOCALHOST") ?? hostname) || undefined;
    const variables = tcpEnvironment({ ...connection, local, localHost });
    const network = formatNetwork(connection.network);
    const child: ChildClient = {
      fd,
      served: { client, network },
      variables: {
        ...variables,
        ...env,
        [DECISION_VARIABLE]: variableFor(client, decision),
      },
      starting: () => {
        if (decision === undefined) return;
        this.#log.info(passLine(client, decision));
      },
      failed: (error) => {
        const { program } = this.#options;
        this.#log.error(startFailureLine(client, program, error));
        this.refuse(connection, LOCAL_PROBLEM);
      },
      ended: (status) => this.ended(client, release, status),
      timedOut: (reason) =>
        this.busy(connection, this.#stopping ? "stopping" : reason),
      hungUp: () => {
        release();
        this.#log.info(formatLine("busy", { ...client, reason: "left" }));
      },
    };
    const now = performance.now();
    this.#children.add(child, now, () => this.#room.mayHold(now));
  }

  /** PROGRAM has ended. */
  ended(
    client: ClientFields,
    release: () => void,
    { pid, code, signal }: ExitStatus,
  ): void {
    release();
    this.#log.info(formatLine("end", { ...client, pid, code, signal }));
  }

  /** Answers 421 at a limit, because no program starts, or because this one stops. */
  busy(
    connection: Connection,
    reason: "limit" | "limitPerNetwork" | "descriptors" | "start" | "stopping",
  ): void {
    const { client } = connection;
    this.#log.info(formatLine("busy", { ...client, reason }));
    this.refuse(connection, reason === "stopping" ? STOPPING : BUSY);
  }

  /**
   * Answers 421 in place of a banner, and closes the connection at once, without
   * reading what the client has sent.
   */
  refuse(connection: Closable, refusal: Refusal): void {
    send(connection.fd, bannerOf(refusal));
    this.close(connection);
  }

  /** Closes a connection at once. */
  close({ fd, release }: Closable): void {
    if (this.#hasCopies()) shutdownWriting(fd);
    close(fd);
    release();
  }

  /**
   * Defers a client: a dialogue, or a reply in place of the banner.
   *
   * @param verdict undefined if the check has failed, which is logged already
   */
  defer(connection: Connection, refusal: Refusal, verdict?: Defer): void {
    const { fd, client, release } = connection;
    const { config, serve, files } = this.#options;
    const logDeferral = (dialogue?: Dialogue) => {
      if (verdict === undefined) return;
      this.#log.info(deferLine(client, verdict, PROXY_ADVICE, dialogue));
    };
    const now = performance.now();
    if (
      this.#deferred.size >= serve.deferredLimit || !this.#room.mayHold(now)
    ) {
      logDeferral();
      return this.refuse(connection, refusal);
    }
    try {
      if (config.deferral.at === "banner") {
        const reply = singleReply(bannerOf(refusal));
        const finished = () => logDeferral();
        this.#deferred.add(fd, reply, now, { finished, closed: release });
        return;
      }
      const options = dialogueOptions(refusal, files.hostname);
      const dialogue = new Dialogue(options);
      const finished = () => logDeferral(dialogue);
      this.#deferred.add(fd, dialogue, now, { finished, closed: release });
    } catch (error) {
      this.#log.error(
        formatLine("defer", { ...client, ...errorFields(error) }),
      );
      this.refuse(connection, refusal);
    }
  }
}
