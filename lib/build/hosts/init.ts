/**
 * The first process of a set of namespaces (unshare(1)), which keeps them alive.
 *
 * The kernel ends all processes of a PID namespace when its first one ends. That
 * one waits for the end of its standard input, a pipe from this process, so
 * nothing stays behind however this process ends: no process, mount or link.
 *
 * @module
 */

import { sleep } from "../../system/sleep.ts";

/** A host that does not come up in this time fails, in seconds. */
const BOOT = 120;

/** The first process of a set of namespaces. */
export class Init {
  readonly #child: Deno.ChildProcess;
  /** Its id outside of the namespaces; 0 until it is {@linkcode ready}. */
  pid = 0;

  /** @param argv ends with a shell that reads its standard input to the end */
  constructor(argv: readonly string[]) {
    this.#child = new Deno.Command(argv[0], {
      args: argv.slice(1),
      cwd: "/",
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /**
   * Waits until its script has made a file.
   *
   * @throws {Error} with what the script wrote to the file `errors`
   */
  async ready(file: string, errors: string): Promise<void> {
    const end = Date.now() + BOOT * 1000;
    while (!exists(file)) {
      if (Date.now() > end) {
        const said = exists(errors) ? Deno.readTextFileSync(errors) : "";
        throw new Error(`${file}: waited in vain: ${said.trim()}`);
      }
      await sleep(10);
    }
    this.pid = initBelow(this.#child.pid);
  }

  /** Ends the process, and with it all processes in its namespaces. */
  async end(): Promise<void> {
    await this.#child.stdin.close().catch(() => {});
    try {
      Deno.kill(this.pid || this.#child.pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The id of the only child of a process. */
export function childOf(pid: number): number {
  const path = `/proc/${pid}/task/${pid}/children`;
  const [child] = Deno.readTextFileSync(path).split(" ");
  if (child === "") throw new Error(`process ${pid} has no child`);
  return Number(child);
}

/** The first process of the PID namespace that a process, or one below, made. */
function initBelow(pid: number): number {
  for (let at = childOf(pid);; at = childOf(at)) {
    // Its id in each namespace that it is in, the innermost last: proc(5).
    const status = Deno.readTextFileSync(`/proc/${at}/status`);
    if (/^NSpid:.*\t1$/m.test(status)) return at;
  }
}
