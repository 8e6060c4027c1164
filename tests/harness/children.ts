/**
 * Child processes of `serve` without `serve` itself.
 *
 * @module
 */

import type { Spawn } from "../../lib/serve/child_processes.ts";
import { Children } from "../../lib/serve/children.ts";
import { E } from "../../lib/system/constants.ts";
import { Epoll } from "../../lib/system/epoll.ts";
import { LibcError } from "../../lib/system/libc.ts";
import { localOf } from "../../lib/system/socket.ts";
import { ChildProgram } from "../../lib/system/spawn.ts";
import { type Pair, pair } from "./pair.ts";
import { DEADLINE, waitFor } from "./process.ts";

export const PATIENCE = 5000;

/** The children under test: each ends when its client hangs up. */
export class Fixture {
  readonly epoll = new Epoll();
  readonly children: Children;
  readonly spawn: Spawn;
  /** The callbacks so far, with the client's name. */
  readonly events: string[] = [];
  /** Clients whose child cannot be started. */
  readonly broken = new Set<number>();
  readonly #program = new ChildProgram([
    "/bin/sh",
    "-c",
    "read x; exit 3",
  ]);

  /** @param beside whether children are started in another thread */
  constructor(limit: number, beside: boolean, mostWaiting = Infinity) {
    this.spawn = {
      name: "sh",
      spawnBeside: (fd, variables, done) => {
        if (this.broken.has(fd)) done(new LibcError("start", E.EAGAIN));
        else if (beside) this.#program.spawnBeside(fd, variables, done);
        else done(this.#program.spawn(fd, variables));
      },
      settle: () => this.#program.settle(),
    };
    this.children = new Children(
      this.epoll,
      this.spawn,
      limit,
      PATIENCE,
      mostWaiting,
      ({ state }) => this.events.push(state),
    );
  }

  /** Adds clients, one after the other, by their names. */
  async runAll(clients: Record<string, Pair>): Promise<void> {
    for (const [name, client] of Object.entries(clients)) {
      await this.run(client, name);
    }
  }

  /** Adds a client, and waits until all starts are done. */
  async run({ fd }: { fd: number }, name: string, now = 0): Promise<void> {
    const note = (event: string) => () => {
      this.events.push(`${name} ${event}`);
    };
    this.children.add(
      {
        fd,
        served: { client: { ip: name }, network: name },
        variables: {},
        starting: note("starts"),
        failed: ({ code }) => note(`failed ${code}`)(),
        ended: ({ code }) => note(`ended ${code}`)(),
        timedOut: (reason) => note(`timed out ${reason}`)(),
        hungUp: note("hung up"),
      },
      now,
      () => true,
    );
    await this.started();
  }

  /** Waits until all starts are done. */
  async started(): Promise<void> {
    await waitFor("the start", () => {
      this.children.settle();
      return this.children.starting === 0;
    });
  }

  /** Handles events until a callback was called. */
  async until(event: string): Promise<void> {
    const end = Date.now() + DEADLINE * 1000;
    while (!this.events.includes(event)) {
      if (Date.now() > end) throw new Error(`${event}: ${this.events}`);
      this.children.settle();
      const count = await this.epoll.wait(10);
      for (let i = 0; i < count; i++) {
        const ready = this.epoll.event(i);
        if (ready !== undefined) this.children.ready(ready.fd);
      }
    }
  }

  /** Ends children, so that no other test finds them. */
  async finish(...running: (readonly [Pair, string])[]): Promise<void> {
    for (const [{ client }, name] of running) {
      client.close();
      await this.until(`${name} ended 3`);
    }
  }
}

/** Whether a descriptor is still a connection: it may be something else now. */
export function isConnection(fd: number): boolean {
  return localOf(fd) !== undefined;
}

/** Three clients: the first one has a child, the others wait for it to end. */
interface Queue extends Disposable {
  readonly fixture: Fixture;
  readonly one: Pair;
  readonly two: Pair;
  readonly three: Pair;
}

/** @param times when the second and the third client came */
export async function oneAndTwoWaiting(
  beside: boolean,
  ...times: number[]
): Promise<Queue> {
  const fixture = new Fixture(1, beside);
  const [one, two, three] = [await pair(), await pair(), await pair()];
  await fixture.run(one, "one");
  await fixture.run(two, "two", times[0]);
  await fixture.run(three, "three", times[1]);
  return {
    ...{ fixture, one, two, three },
    [Symbol.dispose]() {
      for (const each of [three, two, one]) each[Symbol.dispose]();
    },
  };
}

/** Runs a test with children that are started here, and in another thread. */
export function test(
  name: string,
  run: (beside: boolean) => Promise<void>,
  options: { sanitizeOps?: boolean } = {},
): void {
  for (const beside of [false, true]) {
    const how = beside ? "in another thread" : "here";
    Deno.test(
      `children, started ${how}: ${name}`,
      options,
      () => run(beside),
    );
  }
}

/** One turn of the event loop. */
export async function turn({ children, epoll }: Fixture): Promise<void> {
  children.settle();
  const count = await epoll.wait(10);
  for (let i = 0; i < count; i++) {
    const event = epoll.event(i);
    if (event !== undefined) children.ready(event.fd);
  }
}
