/**
 * Headless Chromium, driven over the DevTools protocol.
 *
 * @module
 */

import { findInstalled } from "../../lib/build/find_installed.ts";
import { waitFor } from "./process.ts";

/** How long a browser runs at most, in seconds. */
const LIFE = 900;

/** Where Chromium is, undefined if it is not installed. */
export function findChromium(): string | undefined {
  return findInstalled("chromium") ?? findInstalled("chromium-browser");
}

/** How the browser shows a page. */
export interface Look {
  /** Pixels. */
  readonly width: number;
  readonly scheme?: "light" | "dark";
  readonly media?: "screen" | "print";
}

/** One page in a browser of its own. */
export class Browser implements AsyncDisposable {
  /** Every URL that the page asked for. */
  readonly requests: string[] = [];
  /** Messages on the console, and errors. */
  readonly messages: string[] = [];

  readonly #child: Deno.ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #hasClosed = Promise.withResolvers<void>();
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #events = new Map<string, () => void>();
  #session = "";
  #last = 0;

  private constructor(
    child: Deno.ChildProcess,
    profile: string,
    socket: WebSocket,
  ) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = () => {
      this.#hasClosed.resolve();
      for (const take of this.#waiting.values()) {
        take({ error: { message: "the browser has ended" } });
      }
    };
  }

  /** Starts a browser that can reach nothing but files. */
  static async start(program: string): Promise<Browser> {
    const profile = Deno.makeTempDirSync({ prefix: "greylist-browser-" });
    const child = new Deno.Command("timeout", {
      args: [
        "--kill-after=5",
        String(LIFE),
        program,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--remote-debugging-port=0",
        `--user-data-dir=${profile}`,
        "about:blank",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    // Two lines: the port, and the path of the browser's own socket.
    const [port, path] = await waitFor("Chromium", () => {
      try {
        const file = `${profile}/DevToolsActivePort`;
        const lines = Deno.readTextFileSync(file).split("\n");
        return lines.length > 1 && lines;
      } catch {
        return false;
      }
    });
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    await new Promise((opened, failed) => {
      socket.onopen = opened;
      socket.onerror = failed;
    });
    const browser = new Browser(child, profile, socket);
    const { targetId } = await waitFor("the page", async () => {
      const { targetInfos } = await browser.call("Target.getTargets");
      return (targetInfos as { type: string; targetId: string }[])
        .find(({ type }) => type === "page");
    });
    const attached = await browser.call("Target.attachToTarget", {
      targetId,
      flatten: true,
    });
    browser.#session = attached.sessionId as string;
    for (const domain of ["Page", "Network", "Runtime", "Log"]) {
      await browser.call(`${domain}.enable`);
    }
    return browser;
  }

  /** Sends one command and waits for its reply. */
  async call(
    method: string,
    params: Record<string, unknown> = {},
  ): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    const sessionId = this.#session || undefined;
    const reply = new Promise<Reply>((done) => this.#waiting.set(id, done));
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    const { result, error } = await reply;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  #take(message: Reply & { method?: string; params?: never }): void {
    const { id, method = "", params } = message;
    if (id !== undefined) {
      this.#waiting.get(id)?.(message);
      this.#waiting.delete(id);
      return;
    }
    const said = JSON.stringify(params);
    if (method === "Network.requestWillBeSent") {
      this.requests.push((params as unknown as Request).request.url);
    } else if (
      ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"]
        .includes(method)
    ) this.messages.push(said);
    this.#events.get(method)?.();
  }

  /** Opens a page and waits until it has been loaded. */
  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((done) =>
      this.#events.set("Page.loadEventFired", done)
    );
    await this.call("Page.navigate", { url });
    await loaded;
    // The event may have been that of the page before.
    const isThere = `location.href === ${JSON.stringify(url)} &&
      document.readyState === "complete"`;
    await waitFor(
      url,
      // It fails in a page that is about to go.
      () => this.evaluate<boolean>(isThere).catch(() => false),
    );
  }

  /** Sets the width of the page, its colour scheme and its medium. */
  async look({ width, scheme = "light", media = "screen" }: Look) {
    await this.call("Emulation.setDeviceMetricsOverride", {
      width,
      height: 900,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
    await this.call("Emulation.setEmulatedMedia", {
      media,
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const reply = await this.call("Runtime.evaluate", {
      expression,
      returnByValue: true,
    });
    if (reply.exceptionDetails) {
      throw new Error(JSON.stringify(reply.exceptionDetails));
    }
    return (reply.result as { value: T }).value;
  }

  /** The whole page as a PNG. */
  async screenshot(): Promise<Uint8Array> {
    const { data } = await this.call("Page.captureScreenshot", {
      captureBeyondViewport: true,
    });
    return Uint8Array.from(atob(data as string), (c) => c.charCodeAt(0));
  }

  async [Symbol.asyncDispose]() {
    this.#session = "";
    await this.call("Browser.close").catch(() => {});
    await Promise.all([this.#hasClosed.promise, this.#child.status]);
    await Deno.remove(this.#profile, { recursive: true }).catch(() => {});
  }
}

interface Reply {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

interface Request {
  request: { url: string };
}
