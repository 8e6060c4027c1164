/**
 * Clients that are deferred, one after the other and many at a time.
 *
 * @module
 */

/** How long one session may take, in milliseconds. */
const PATIENCE = 30_000;

/** What clients say, and what they must have been told at the end. */
export interface Session {
  /** Sent in one go after the banner; nothing where there is no banner. */
  readonly script?: string;
  readonly reply: RegExp;
}

/** What a load came to. */
export interface Load {
  readonly sessions: number;
  /** From the first connection to the end of the last session. */
  readonly seconds: number;
}

/**
 * Holds sessions with a server on this machine. Each client that has gone is
 * followed by the next, until the time is over; then those that are there are
 * waited for, and count.
 *
 * @param clients how many there are at a time
 * @param seconds how long new ones come
 * @throws {Error} where a session does not go as it should
 */
export async function load(
  port: number,
  session: Session,
  clients: number,
  seconds: number,
  signal: AbortSignal,
): Promise<Load> {
  const start = performance.now();
  const end = start + seconds * 1000;
  let sessions = 0;
  const client = async () => {
    do {
      signal.throwIfAborted();
      await hold(port, session);
      sessions++;
    } while (performance.now() < end);
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { sessions, seconds: (performance.now() - start) / 1000 };
}

async function hold(port: number, { script, reply }: Session): Promise<void> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const timer = setTimeout(() => connection.close(), PATIENCE);
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(1024);
  let said = "";
  let waits = script !== undefined;
  try {
    while (true) {
      const length = await connection.read(chunk);
      if (length === null) break;
      said += decoder.decode(chunk.subarray(0, length));
      if (!waits) continue;
      waits = false;
      await connection.write(new TextEncoder().encode(script));
    }
  } finally {
    clearTimeout(timer);
    try {
      connection.close();
    } catch {
      // The time was up.
    }
  }
  if (!reply.test(said)) {
    throw new Error(`a client was told ${JSON.stringify(said)}`);
  }
}
