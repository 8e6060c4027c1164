/**
 * Attempts to leave the sandbox. A configuration module is compiled with them:
 * they run in the finished program.
 *
 * @module
 */

/** The targets of the attempts. */
export interface Targets {
  /** The base directory; the outcomes are written there. */
  readonly base: string;
  /**
   * A file named `victim` that any user may read and write; only the sandbox
   * protects it. Its directory is open as descriptor 7.
   */
  readonly outside: string;
  /** A port of this machine at which a process listens. */
  readonly port: number;
}

/** The name of the error, or `done` if the attempt has succeeded. */
type Outcomes = Record<string, string>;

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : String(error);
}

/** The attempts with synchronous functions. */
export function probe({ base, outside, port }: Targets): void {
  const own = `${base}/.own`;
  const other = `${outside}.other`;
  const attempts: Record<string, () => unknown> = {
    "readTextFile": () => Deno.readTextFileSync(outside),
    "readTextFile /etc/passwd": () => Deno.readTextFileSync("/etc/passwd"),
    "readTextFile environ": () => Deno.readTextFileSync("/proc/self/environ"),
    "readTextFile /dev/mem": () => Deno.readTextFileSync("/dev/mem"),
    "readTextFile ..": () => Deno.readTextFileSync(`${base}/../victim`),
    "readTextFile fd": () => Deno.readTextFileSync("/proc/self/fd/7/victim"),
    "readDir fd": () => [...Deno.readDirSync("/proc/self/fd")],
    "open /proc/self/mem": () => Deno.openSync("/proc/self/mem"),
    "readDir": () => [...Deno.readDirSync("/")],
    "stat": () => Deno.statSync(outside),
    "lstat": () => Deno.lstatSync(outside),
    "readLink": () => Deno.readLinkSync("/proc/self/exe"),
    "realPath": () => Deno.realPathSync(outside),
    "writeTextFile": () => Deno.writeTextFileSync(outside, "written"),
    "writeTextFile new": () => Deno.writeTextFileSync(other, "written"),
    "truncate": () => Deno.truncateSync(outside),
    "utime": () => Deno.utimeSync(outside, 1, 1),
    "chmod": () => Deno.chmodSync(outside, 0o600),
    "chown": () => Deno.chownSync(outside, 1, 1),
    "remove": () => Deno.removeSync(outside),
    "mkdir": () => Deno.mkdirSync(other),
    "makeTempFile": () => Deno.makeTempFileSync(),
    "rename": () => Deno.renameSync(own, other),
    "copyFile": () => Deno.copyFileSync(own, other),
    "link": () => Deno.linkSync(own, other),
    "link inwards": () => Deno.linkSync(outside, `${base}/.inwards`),
    "symlink": () => Deno.symlinkSync(outside, `${base}/.inwards`),
    "listen": () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
    "listen unix": () =>
      Deno.listen({ transport: "unix", path: `${other}.socket` }).close(),
    "WebSocket": () => new WebSocket(`ws://127.0.0.1:${port}/`),
    "Command": () => new Deno.Command("/bin/true").outputSync(),
    "Command own": () => new Deno.Command(`${base}/.own`).outputSync(),
    "kill": () => Deno.kill(Deno.ppid, "SIGCONT"),
    "env.get": () => Deno.env.get("HOME"),
    "env.get LD_PRELOAD": () => Deno.env.get("LD_PRELOAD"),
    "env.set": () => Deno.env.set("PATH", "/tmp"),
    "env.delete": () => Deno.env.delete("PATH"),
    "env.toObject": () => Deno.env.toObject(),
    "hostname": () => Deno.hostname(),
    "osRelease": () => Deno.osRelease(),
    "uid": () => Deno.uid(),
    "networkInterfaces": () => Deno.networkInterfaces(),
    "systemMemoryInfo": () => Deno.systemMemoryInfo(),
  };
  const outcomes: Outcomes = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      attempt();
      outcomes[name] = "done";
    } catch (error) {
      outcomes[name] = nameOf(error);
    }
  }
  // A prompt would go to the client, so a request must fail without one.
  for (const name of ["read", "write", "net", "run", "env", "sys"] as const) {
    const { state } = Deno.permissions.requestSync({ name });
    outcomes[`request ${name}`] = state === "granted" ? "done" : "NotCapable";
  }
  Deno.writeTextFileSync(`${base}/.probed`, JSON.stringify(outcomes));
}

/** A module of Node.js, which Deno has built in; its types are not at hand. */
// deno-lint-ignore no-explicit-any
function node(name: string): Promise<any> {
  return import(["node", name].join(":"));
}

/** The attempts with asynchronous functions. */
export async function probeLater({ base, outside, port }: Targets) {
  const own = `${base}/.own`;
  const origin = `http://127.0.0.1:${port}/x.ts`;
  const attempts: Record<string, () => Promise<unknown>> = {
    "connect": () => Deno.connect({ hostname: "127.0.0.1", port }),
    "connect unix": () => Deno.connect({ transport: "unix", path: "/dev/log" }),
    "fetch": () => fetch(origin),
    "fetch file": () => fetch(`file://${outside}`),
    "resolveDns": () => Deno.resolveDns("localhost", "A"),
    "readTextFile": () => Deno.readTextFile(outside),
    "writeTextFile": () => Deno.writeTextFile(outside, "written"),
    "node:fs": async () => (await node("fs")).readFileSync("/etc/passwd"),
    "node:fs write": async () => (await node("fs")).writeFileSync(outside, "x"),
    "node:child_process": async () => {
      const { error } = (await node("child_process")).spawnSync(own);
      if (error !== undefined) throw error;
    },
    "node:os": async () => (await node("os")).hostname(),
    "node:net": async () => {
      const { connect } = await node("net");
      const { promise, resolve, reject } = Promise.withResolvers();
      connect({ host: "127.0.0.1", port }, resolve).on("error", reject);
      await promise;
    },
    "import http": () => import(origin),
    "import https": () => import(["https:/", "deno.land", "x.ts"].join("/")),
    "import file": () => import(["file:/", outside].join("")),
  };
  const outcomes: Outcomes = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      await attempt();
      outcomes[name] = "done";
    } catch (error) {
      outcomes[name] = nameOf(error);
    }
  }
  Deno.writeTextFileSync(`${base}/.probed-later`, JSON.stringify(outcomes));
}

/** Attempts that no list of permissions forbids. */
export function probeOpen({ base }: Pick<Targets, "base">): void {
  // A link that another user has put there is followed.
  const linked = Deno.readTextFileSync(`${base}/.link`);
  Deno.writeTextFileSync(`${base}/.linked`, linked);
  // The C library reads any file that the user may read.
  const library = Deno.dlopen("libc.so.6", {
    open: { parameters: ["buffer", "i32"], result: "i32" },
    read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  });
  const path = Uint8Array.from(new TextEncoder().encode("/etc/passwd\0"));
  const bytes = new Uint8Array(128);
  const fd = library.symbols.open(path, 0);
  const length = Number(library.symbols.read(fd, bytes, 5n));
  Deno.writeFileSync(`${base}/.library`, bytes.subarray(0, length));
}
