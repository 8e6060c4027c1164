/**
 * Several hosts on one machine, each of them a set of namespaces (unshare(1)):
 * its own network, mounts, name and processes. They need root and iproute2.
 *
 * Two networks connect them: 10.77.0.0/24 is for storage, 10.78.0.0/24 is where
 * SMTP clients come from. Clients are in the namespace of the switch between the
 * hosts, and may have any address of 10.128.0.0/9: 32,768 networks of 256.
 *
 * A host lives as long as its first process: see init.ts.
 *
 * @module
 */

import { childOf, Init } from "./init.ts";

/** How long a command in a host may take by default, in seconds. */
const PATIENCE = 120;

/** How a command in a host ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs in a host until it is disposed of, or the host ends. */
export interface Running extends AsyncDisposable {
  /** Its id outside of the host. */
  readonly pid: number;
}

/** The address of host `number` in the network for storage. */
export function storageAddress(number: number): string {
  return `10.77.0.${number}`;
}

/** The address of host `number` that SMTP clients connect to. */
export function publicAddress(number: number): string {
  return `10.78.0.${number}`;
}

/** One host that runs. */
export class Host {
  readonly #init: Init;
  readonly #hosts: Hosts;
  #running = new Set<Running>();

  constructor(readonly number: number, hosts: Hosts, init: Init) {
    this.#hosts = hosts;
    this.#init = init;
  }

  /** The id of its first process outside of the host. */
  get pid(): number {
    return this.#init.pid;
  }

  /** What the host has for itself is in here: see {@linkcode Hosts.begin}. */
  get dir(): string {
    return `${this.#hosts.dir}/h${this.number}`;
  }

  /**
   * Runs a command in the host.
   *
   * @param seconds after which it is killed
   */
  run(argv: readonly string[], seconds = PATIENCE): Promise<Outcome> {
    return output([...this.#enter(seconds), ...argv]);
  }

  /**
   * Runs a command in the host that has to succeed.
   *
   * @returns its standard output
   * @throws {Error} with what it said
   */
  async must(argv: readonly string[], seconds?: number): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, seconds);
    if (code === 0) return stdout;
    const said = (stderr || stdout).trim();
    throw new Error(`host ${this.number}: ${argv.join(" ")}: ${code}: ${said}`);
  }

  /**
   * Starts a program in the host.
   *
   * @param errors a file that its standard error is added to
   */
  start(argv: readonly string[], errors: string): Running {
    const line = ["sh", "-c", 'cd /; exec "$@" 2>>"$0"', errors, ...argv];
    const [program, ...args] = [...this.#enter(LIFE), ...line];
    const child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const running: Running = {
      // timeout(1), nsenter(1), the program.
      get pid() {
        return childOf(childOf(child.pid));
      },
      [Symbol.asyncDispose]: async () => {
        if (!this.#running.delete(running)) return;
        try {
          child.kill("SIGTERM");
        } catch {
          // It has ended already.
        }
        await child.status;
      },
    };
    this.#running.add(running);
    return running;
  }

  /** Cuts the host off from the others; clients still reach it. */
  async cut(): Promise<void> {
    await this.#hosts.ip("link", "set", `s${this.number}`, "down");
  }

  /** Connects it again. */
  async heal(): Promise<void> {
    await this.#hosts.ip("link", "set", `s${this.number}`, "up");
  }

  /** Simulates a power failure: not even a FIN leaves the host. */
  async kill(): Promise<void> {
    await this.cut();
    await this.#hosts.ip("link", "set", `p${this.number}`, "down");
    await this[Symbol.asyncDispose]();
  }

  /** Ends the host and all its processes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#init.end();
    for (const running of this.#running) await running[Symbol.asyncDispose]();
    this.#hosts.forget(this);
  }

  #enter(seconds: number): string[] {
    return [
      ...["timeout", "--kill-after=2", String(seconds)],
      ...["nsenter", "--target", String(this.#init.pid)],
      ...["--net", "--mount", "--uts", "--pid", "--"],
    ];
  }
}

/** The longest life of a program in a host, and of a set of hosts, in seconds. */
const LIFE = 900;

/** A switch, the clients at it, and the hosts. */
export class Hosts implements AsyncDisposable {
  readonly #running = new Map<number, Host>();

  private constructor(
    readonly dir: string,
    private readonly own: readonly string[],
    private readonly init: Init,
  ) {}

  /**
   * Begins with a switch and no hosts.
   *
   * @param dir an empty directory; what host N has for itself is in `hN` there,
   * and survives the host
   * @param own directories of this machine that each host has for itself; /run
   * is so as well, and does not survive
   */
  static async begin(dir: string, own: readonly string[]): Promise<Hosts> {
    const init = new Init([
      ...["timeout", "--kill-after=1", String(LIFE)],
      ...["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"],
      ...["--mount-proc", "sh", "-c", SWITCH, "greylist-switch", dir],
    ]);
    const hosts = new Hosts(dir, own, init);
    try {
      await init.ready(`${dir}/up`, `${dir}/errors`);
    } catch (error) {
      await init.end();
      throw error;
    }
    return hosts;
  }

  /** The process whose network namespace the clients are in. */
  get pid(): number {
    return this.init.pid;
  }

  /** Boots a host, for the first time or again. */
  async boot(number: number): Promise<Host> {
    const dir = `${this.dir}/h${number}`;
    await Deno.mkdir(dir, { recursive: true });
    await Deno.remove(`${dir}/up`).catch(() => {});
    const init = new Init([
      ...["nsenter", "--target", String(this.pid), "--net", "--mount", "--pid"],
      ...["--", "unshare", "--net", "--mount", "--uts", "--pid", "--fork"],
      ...["--kill-child", "--mount-proc", "sh", "-c", HOST],
      ...[`greylist-host`, dir, String(number), ...this.own],
    ]);
    const host = new Host(number, this, init);
    this.#running.set(number, host);
    try {
      await init.ready(`${dir}/up`, `${dir}/errors`);
      await this.#connect(host, `s${number}`, "eth0", "storage");
      await this.#connect(host, `p${number}`, "eth1", "public");
      await host.must(["sh", "-c", ADDRESSES, String(number)]);
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
    return host;
  }

  async #connect(host: Host, link: string, name: string, bridge: string) {
    // Those of a host that has just ended go a little later than that.
    await this.ip("link", "delete", link).catch(() => {});
    // A host that boots again is known to the others by the same address.
    const network = bridge === "storage" ? "01" : "02";
    const number = host.number.toString(16).padStart(2, "0");
    const address = `02:00:00:00:${network}:${number}`;
    const there = ["address", address, "netns", String(host.pid)];
    const peer = ["peer", "name", name, ...there];
    await this.ip("link", "add", link, "type", "veth", ...peer);
    await this.ip("link", "set", link, "master", bridge, "up");
  }

  /** Runs ip(8) at the switch. */
  async ip(...args: readonly string[]): Promise<void> {
    const enter = ["nsenter", "--target", String(this.pid), "--net", "--"];
    const { code, stderr } = await output([...enter, "ip", ...args]);
    if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr.trim()}`);
  }

  /** Called by a host that has ended. */
  forget(host: Host): void {
    this.#running.delete(host.number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of [...this.#running.values()]) {
      await host[Symbol.asyncDispose]();
    }
    await this.init.end();
  }
}

/** $1 is a directory. 10.128.0.0/9 is local, so that clients may bind it. */
const SWITCH = `exec 2>"$1/errors"; set -e
for bridge in storage public; do
  ip link add "$bridge" type bridge
  ip link set "$bridge" up
done
ip link set lo up
ip address add 10.78.0.254/24 dev public
ip route add local 10.128.0.0/9 dev lo
: >"$1/up"
cat >/dev/null
`;

/** $1 is the directory of the host, $2 its number, then what it has alone. */
const HOST = `exec 2>"$1/errors"; set -e
dir=$1 number=$2; shift 2
hostname "h$number"
for own; do
  mkdir -p "$dir$own"
  mount --bind "$dir$own" "$own"
done
mount -t tmpfs tmpfs /run
ip link set lo up
: >"$dir/up"
cat >/dev/null
`;

const ADDRESSES = `set -e
ip address add "10.77.0.$0/24" dev eth0
ip address add "10.78.0.$0/24" dev eth1
ip link set eth0 up
ip link set eth1 up
ip route add 10.128.0.0/9 via 10.78.0.254
`;

async function output(argv: readonly string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(argv[0], {
    args: argv.slice(1),
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
