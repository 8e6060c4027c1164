/**
 * Runs a task of deno.json: decides where @std comes from, then starts the
 * program of the task as a child with the arguments, the terminal, the signals
 * and the exit code of this one.
 *
 * It imports nothing from @std, so that it runs where JSR does not answer.
 *
 * @module
 */

import { tell } from "../commands/tell.ts";
import { V8_LINEAR } from "../whitelist/expression.ts";
import { endTask, SIGNALS } from "./signals.ts";
import {
  fetchStd,
  path,
  ROOT,
  type Std,
  STD_VARIABLE,
  stdFlags,
} from "./std.ts";

/** One task: the `deno` subcommand, its options, and what follows them. */
interface Task {
  readonly deno: readonly string[];
  readonly operands: (args: string[]) => string[];
}

const TASKS: Readonly<Record<string, Task>> = {
  compile: run(["-A"], "lib/build/compile.ts"),
  demo: run(["-A"], "lib/build/demo.ts"),
  bench: run(["-A"], "lib/build/bench.ts"),
  replay: run(["-A"], "lib/build/replay.ts"),
  info: run(["--allow-read", "--allow-env", "--allow-ffi"], "main.ts", "info"),
  spf: run(
    ["--allow-net", "--allow-read", "--allow-write", "--allow-env"],
    "lib/build/spf.ts",
  ),
  pools: run(
    ["--allow-net", "--allow-read", "--allow-write", "--allow-env"],
    "lib/build/pools.ts",
  ),
  test: run(["-A"], "lib/build/test.ts"),
  check: {
    deno: ["check"],
    operands: (args) => [
      ...args,
      inRoot("main.ts"),
      inRoot("greylist.config.ts"),
      ...modules(inRoot("lib")),
      ...modules(inRoot("tests")),
    ],
  },
};

/** A task that runs a program of this project. */
function run(permissions: string[], file: string, ...first: string[]): Task {
  return {
    // A configuration may hold expressions of the kind that whitelist files have.
    deno: ["run", "--no-prompt", `--v8-flags=${V8_LINEAR}`, ...permissions],
    operands: (args) => [inRoot(file), ...first, ...args],
  };
}

function inRoot(file: string): string {
  return path(new URL(file, ROOT));
}

/** The directory that the user was in; `deno task` goes to that of deno.json. */
function userDirectory(): string {
  return Deno.env.get("INIT_CWD") ?? Deno.cwd();
}

/** The modules below a directory, without those that only npm's @std needs. */
function modules(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap((entry) => {
    const file = `${directory}/${entry.name}`;
    if (entry.isDirectory) {
      return file === inRoot("lib/build/npm") ? [] : modules(file);
    }
    return file.endsWith(".ts") ? [file] : [];
  });
}

/** An error that ends the task with one line on stderr. */
class Stop extends Error {
  constructor(message: string, readonly code: number) {
    super(message);
  }
}

/** Lets Deno fetch @std, and returns where it comes from. */
async function provideStd(): Promise<Std> {
  const std = await chooseStd();
  if (std === "jsr") return std;
  const failure = await fetchStd(std);
  if (failure === undefined) return std;
  throw new Stop(`@std on npm: ${failure.reason}`, 111);
}

/** Where @std comes from: as GREYLIST_STD says, else JSR, else npm. */
async function chooseStd(): Promise<Std> {
  const wanted = Deno.env.get(STD_VARIABLE);
  if (wanted === "npm") return "npm";
  if (wanted !== undefined && wanted !== "jsr") {
    throw new Stop(`${STD_VARIABLE}: "${wanted}": expected jsr or npm`, 100);
  }
  const failure = await fetchStd("jsr");
  if (failure === undefined) return "jsr";
  if (!failure.absent) throw new Stop(`@std on JSR: ${failure.reason}`, 111);
  if (wanted === "jsr") {
    throw new Stop(
      `JSR does not answer, and ${STD_VARIABLE}=jsr forbids npm in its place`,
      111,
    );
  }
  tell("@std comes from npm: JSR does not answer here");
  return "npm";
}

/** Runs the task in a child and returns the child's exit code. */
async function main(args: string[], scratch: string): Promise<number> {
  const [name, ...rest] = args;
  const task = Object.hasOwn(TASKS, name ?? "") ? TASKS[name] : undefined;
  if (task === undefined) {
    const names = Object.keys(TASKS).join(", ");
    throw new Stop(`"${name ?? ""}": no such task; expected ${names}`, 100);
  }
  // If a proxy has a CA of its own, the system knows the CA and Deno does not.
  if (Deno.env.get("DENO_TLS_CA_STORE") === undefined) {
    Deno.env.set("DENO_TLS_CA_STORE", "mozilla,system");
  }
  const std = await provideStd();
  Deno.env.set(STD_VARIABLE, std);
  const cwd = userDirectory();
  const operands = task.operands(rest);
  // A task that this one starts must not take this user directory for its own.
  Deno.env.delete("INIT_CWD");
  const [subcommand, ...options] = task.deno;
  child = new Deno.Command(Deno.execPath(), {
    args: [
      subcommand,
      ...await stdFlags(std, scratch),
      ...options,
      ...operands,
    ],
    cwd,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  return (await child.status).code;
}

/**
 * Refuses a temporary directory whose path is another one in another directory,
 * or in which no compiled program starts.
 */
function checkTemporary(): void {
  const path = Deno.env.get("TMPDIR");
  if (path === undefined) return;
  if (path.startsWith("/") && !path.split("/").includes("..")) return;
  throw new Stop(
    `TMPDIR: "${path}": expected an absolute path without ".."`,
    100,
  );
}

let scratch: string | undefined;
/** The program of the task, once it runs. */
let child: Deno.ChildProcess | undefined;
for (const [signal, number] of Object.entries(SIGNALS)) {
  Deno.addSignalListener(signal as Deno.Signal, () => {
    if (child === undefined) {
      endTask(scratch === undefined ? [] : [scratch], 128 + number);
    }
    try {
      child.kill(signal as Deno.Signal);
    } catch {
      // It has ended already.
    }
  });
}
let code: number;
try {
  checkTemporary();
  // In one turn of the event loop: no signal comes in between.
  scratch = Deno.makeTempDirSync({ prefix: "greylist-" });
  code = await main(Deno.args, scratch);
} catch (error) {
  if (!(error instanceof Error)) throw error;
  tell(`greylist ${Deno.args[0] ?? "task"}: ${error.message}`);
  code = error instanceof Stop ? error.code : 111;
} finally {
  if (scratch !== undefined) await Deno.remove(scratch, { recursive: true });
}
Deno.exit(code);
