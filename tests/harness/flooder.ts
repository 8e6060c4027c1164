/**
 * Connects from one address without end. It is a thread of its own, so that it
 * does not disturb the clock of the test. It gets `{ port, perSecond }`, and
 * answers with the number of connections when it gets `stop`.
 *
 * @module
 */

/** How often it connects, in milliseconds. */
const TICK = 10;

const thread = self as unknown as {
  onmessage: (event: MessageEvent) => void;
  postMessage(message: unknown): void;
};

let made = 0;
let timer: ReturnType<typeof setInterval> | undefined;
const open = new Set<Deno.TcpConn>();

/** Holds a connection as long as the server does. */
async function hold(port: number): Promise<void> {
  const conn = await Deno.connect({ port });
  made++;
  open.add(conn);
  const buffer = new Uint8Array(512);
  try {
    while (await conn.read(buffer) !== null);
  } catch {
    // Reset.
  }
  if (open.delete(conn)) conn.close();
}

thread.onmessage = ({ data }) => {
  if (data === "stop") {
    clearInterval(timer);
    thread.postMessage(made);
    for (const conn of open) conn.close();
    open.clear();
    return;
  }
  const { port, perSecond } = data;
  const begun = performance.now();
  let begunCount = 0;
  timer = setInterval(() => {
    const due = (performance.now() - begun) / 1000 * perSecond;
    for (; begunCount < due; begunCount++) hold(port).catch(() => {});
  }, TICK);
};
