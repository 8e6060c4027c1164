/**
 * The TCP ports of test files that run at the same time: each worker of `deno task
 * test` has a share of its own, so that two files never choose the same port.
 *
 * @module
 */

/**
 * The variable that tells a test file which share is its own, such as `0/3` for the
 * first of three.
 */
export const SHARE_VARIABLE = "GREYLIST_TEST_SHARE";

/**
 * The ports that the shares are parts of. The kernel gives ports from 32768 on to
 * clients: a client of another test could have such a port before a server starts.
 */
const FIRST = 10_000;
const COUNT = 22_000;

/** Some ports in a row. */
export interface Ports {
  readonly first: number;
  readonly count: number;
}

/**
 * The ports of one worker.
 *
 * @param share the value of {@linkcode SHARE_VARIABLE}; undefined: all ports
 */
export function portsOf(share = "0/1"): Ports {
  const [worker, workers] = share.split("/").map(Number);
  const count = Math.floor(COUNT / workers);
  return { first: FIRST + worker * count, count };
}

/** The ports that {@linkcode freePort} has returned. */
const taken = new Set<number>();

/**
 * A TCP port that is free. Neither this program nor a test file that runs at the
 * same time gets the port again.
 */
export function freePort(): number {
  const { first, count } = portsOf(Deno.env.get(SHARE_VARIABLE));
  while (true) {
    const port = first + Math.floor(Math.random() * count);
    if (taken.has(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      taken.add(port);
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
