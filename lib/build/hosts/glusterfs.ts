/**
 * A GlusterFS volume between three hosts. Two have all data. The third is the
 * arbiter: it has names and times only, and decides which of the two is right. It
 * mounts the volume as well.
 *
 * @module
 */

import { findProgram, mayAccess } from "../../system/access.ts";
import { sleep } from "../../system/sleep.ts";
import { userId } from "../../system/user.ts";
import { type Host, Hosts, storageAddress } from "./hosts.ts";

/** The needed programs, all of Debian's glusterfs-server and iproute2. */
export const PROGRAMS = [
  ...["glusterd", "gluster", "mount.glusterfs"],
  ...["ip", "nsenter", "unshare", "mount"],
] as const;

/**
 * Finds out why this machine cannot have such a volume.
 *
 * @param more programs that are needed besides
 * @returns one line that says what to do, undefined if it can
 */
export function lackOf(...more: readonly string[]): string | undefined {
  if (userId() !== 0) return "several hosts on one machine need root";
  const absent = [...PROGRAMS, ...more].filter((name) => !findProgram(name));
  if (absent.length > 0) {
    const packages = absent.map((name) =>
      ["glusterd", "gluster", "mount.glusterfs"].includes(name)
        ? "glusterfs-server"
        : name === "ip"
        ? "iproute2"
        : ["nsenter", "unshare"].includes(name)
        ? "util-linux"
        : name
    );
    return `not installed: ${absent.join(", ")}: apt-get install ` +
      [...new Set(packages)].join(" ");
  }
  if (!mayAccess("/dev/fuse", "write")) {
    return "/dev/fuse is missing: the kernel has no FUSE, which GlusterFS needs";
  }
  return undefined;
}

/** The name of the volume. */
const VOLUME = "greylist";

/** How many hosts there are. */
const HOST_COUNT = 3;

/** Directories of which each host has its own. */
const OWN = ["/var/lib/glusterd", "/var/log/glusterfs"];

/**
 * With these options the others notice a lost host after 5 to 7 seconds instead of
 * 83, and see a change at once. The page multi-mx of the manual has them too.
 */
const VOLUME_OPTIONS: Readonly<Record<string, string>> = {
  "network.ping-timeout": "5",
  "client.tcp-user-timeout": "6",
  "server.tcp-user-timeout": "6",
  "client.keepalive-time": "3",
  "client.keepalive-interval": "1",
  "client.keepalive-count": "3",
  "server.keepalive-time": "3",
  "server.keepalive-interval": "1",
  "server.keepalive-count": "3",
  "performance.stat-prefetch": "off",
};

/** Options of the mount: the client caches nothing about a file. */
const MOUNT_OPTIONS = "attribute-timeout=0,entry-timeout=0,negative-timeout=0";

/** How long the volume may take to come up, or to heal, in seconds. */
const PATIENCE = 60;

/** Three hosts, and the volume at the same directory on each. */
export class Cluster implements AsyncDisposable {
  private constructor(
    readonly hosts: Hosts,
    readonly base: string,
    readonly members: Host[],
  ) {}

  /**
   * Starts the hosts and the volume, which takes some 15 seconds.
   *
   * @param dir an empty directory, not on an overlay or on NFS: the bricks are
   * below it
   * @param base the directory that the volume is mounted at; its owner and mode
   * are given to the root of the volume
   * @param own directories besides that each host has for itself
   * @throws {Error} if a step fails
   */
  static async up(
    dir: string,
    base: string,
    own: readonly string[] = [],
  ): Promise<Cluster> {
    const hosts = await Hosts.begin(dir, [...OWN, ...own]);
    try {
      const members = await Promise.all(
        Array.from({ length: HOST_COUNT }, (_, i) => bootDaemon(hosts, i + 1)),
      );
      const cluster = new Cluster(hosts, base, members);
      await cluster.#make();
      return cluster;
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Host `number`, from 1 on. */
  host(number: number): Host {
    return this.members[number - 1];
  }

  async #make(): Promise<void> {
    const [first, ...others] = this.members;
    for (const { number } of others) {
      await gluster(first, "peer", "probe", storageAddress(number));
    }
    await until("all peers to be connected", async () => {
      const list = await gluster(first, "pool", "list");
      return list.match(/\bConnected\b/g)?.length === HOST_COUNT;
    });
    const bricks = this.members.map((host) =>
      `${storageAddress(host.number)}:${brickOf(host)}`
    );
    const kind = ["replica", "3", "arbiter", "1"];
    await gluster(first, "create", ...kind, ...bricks, "force");
    const options = Object.entries(VOLUME_OPTIONS).flat();
    await gluster(first, "set", ...options);
    await gluster(first, "start");
    await Promise.all(this.members.map((host) => this.mount(host)));
    const { uid, gid, mode } = await Deno.stat(this.base);
    await first.must(["chown", `${uid}:${gid}`, this.base]);
    await first.must(["chmod", (mode! & 0o777).toString(8), this.base]);
  }

  /** Mounts the volume in a host. */
  async mount(host: Host): Promise<void> {
    const line = ["mount", "-t", "glusterfs", "-o", MOUNT_OPTIONS];
    await until(`the mount in host ${host.number}`, async () => {
      await host.run([...line, `localhost:/${VOLUME}`, this.base]);
      const { code } = await host.run(["mountpoint", "-q", this.base]);
      return code === 0;
    });
  }

  /** Boots a host again that was killed; its brick and its mount as well. */
  async reboot(number: number): Promise<Host> {
    const host = await bootDaemon(this.hosts, number);
    this.members[number - 1] = host;
    await this.mount(host);
    return host;
  }

  /** The id of the process that is the mount in a host. */
  clientOf(host: Host): number {
    return processIn(host, "glusterfs", `--process-name fuse`);
  }

  /** Kills the process that has a host's brick. */
  killBrick(host: Host): void {
    Deno.kill(processIn(host, "glusterfsd", brickOf(host)), "SIGKILL");
  }

  /** Starts all bricks that do not run. */
  async startBricks(): Promise<void> {
    await gluster(this.members[0], "start", "force");
  }

  /** Waits until no brick lacks anything, and throws if two disagree. */
  async healed(): Promise<void> {
    const [first] = this.members;
    await until("the bricks to heal", async () => {
      const { code, stdout } = await first.run(
        [...GLUSTER, "volume", "heal", VOLUME, "info"],
      );
      const counts = stdout.match(/^Number of entries: .*$/gm) ?? [];
      return code === 0 && counts.length === HOST_COUNT &&
        counts.every((line) => line.endsWith(": 0"));
    });
    const split = await gluster(first, "heal", "info", "split-brain");
    const counts = split.match(/split-brain: .*$/gm) ?? [];
    if (counts.some((line) => !line.endsWith(": 0"))) {
      throw new Error(`split-brain: ${split}`);
    }
  }

  /** The names in each brick, sorted, and how large each file is. */
  bricks(): Record<string, number>[] {
    return this.members.map((host) => {
      const dir = brickOf(host);
      const names = [...Deno.readDirSync(dir)].map(({ name }) => name)
        .filter((name) => !name.startsWith(".")).sort();
      return Object.fromEntries(
        names.map((name) => [name, Deno.lstatSync(`${dir}/${name}`).size]),
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hosts[Symbol.asyncDispose]();
  }
}

/** Where a host has its part of the volume. */
function brickOf({ dir }: Host): string {
  return `${dir}/brick`;
}

async function bootDaemon(hosts: Hosts, number: number): Promise<Host> {
  const host = await hosts.boot(number);
  await host.must(["sh", "-c", "mkdir -p /run/gluster && glusterd"]);
  await until(`glusterd in host ${number}`, async () => {
    const { code } = await host.run([...GLUSTER, "pool", "list"]);
    return code === 0;
  });
  return host;
}

const GLUSTER = ["gluster", "--mode=script"];

/** Runs gluster(8); `peer` and `pool` stand alone, all else is a volume's. */
async function gluster(
  host: Host,
  verb: string,
  ...args: readonly string[]
): Promise<string> {
  const line = verb === "peer" || verb === "pool"
    ? [verb, ...args]
    : ["volume", verb, VOLUME, ...args];
  return await host.must([...GLUSTER, ...line], PATIENCE);
}

/** The id of a process in a host, by its name and a part of its arguments. */
function processIn(host: Host, name: string, part: string): number {
  const own = namespaceOf(host.pid);
  for (const { name: pid } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`)
        .replaceAll("\0", " ");
      if (
        line.split(" ", 1)[0].endsWith(`/${name}`) && line.includes(part) &&
        namespaceOf(pid) === own
      ) return Number(pid);
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`host ${host.number}: no process ${name} ${part}`);
}

function namespaceOf(pid: number | string): string {
  return Deno.readLinkSync(`/proc/${pid}/ns/pid`);
}

async function until(
  what: string,
  condition: () => Promise<boolean>,
): Promise<void> {
  const end = Date.now() + PATIENCE * 1000;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(100);
  }
}
