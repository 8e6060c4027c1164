/**
 * A next program that reports everything that it gets, for a comparison with
 * the same program started directly by the super-server.
 *
 * @module
 */

import { ROOT, writeFile } from "./root.ts";
import { waitFor } from "./process.ts";

/** What the kernel says about a process, in the files of proc(5). */
export interface Report {
  readonly pid: number;
  /** The environment, as bytes. */
  readonly environ: Uint8Array;
  /** The arguments, as bytes. */
  readonly cmdline: Uint8Array;
  /** Its open descriptors as `ls -l` shows them, without inode numbers. */
  readonly descriptors: string;
  /** Open-file flags of descriptors 0 to 2, in octal. */
  readonly flags: readonly string[];
  /** /proc/PID/status without what differs between any two processes. */
  readonly status: string;
  readonly limits: string;
  readonly cwd: string;
  /** Priority, nice value and scheduling policy. */
  readonly scheduling: string;
}

const FILES = "limits cmdline environ stat";

/** The probe as a command; it sends the client one line and ends. */
export function probe(...args: string[]): string[] {
  const script = `d=$1; mkdir -p "$d"; p=/proc/$$
# Read by sh itself: while it starts a program it blocks all signals.
while IFS= read -r line; do echo "$line"; done <$p/status >"$d/status"
for f in ${FILES}; do cat $p/$f >"$d/$f"; done
for n in 0 1 2; do cat $p/fdinfo/$n >"$d/fdinfo.$n"; done
for n in $p/fd/*; do echo "\${n##*/} $(readlink $n)"; done >"$d/fd"
readlink $p/cwd >"$d/cwd"
echo $$ >"$d/pid.new"; mv "$d/pid.new" "$d/pid"
printf '220 probe\\r\\n'`;
  const path = writeFile("probe.sh", script + "\n");
  return ["/bin/sh", path, `${ROOT}/report`, ...args];
}

/** Reads the report of the probe when it is there, and removes it. */
export async function report(): Promise<Report> {
  const dir = `${ROOT}/report`;
  const pid = await waitFor("the report of the next program", () => {
    try {
      return Number(Deno.readTextFileSync(`${dir}/pid`));
    } catch {
      return undefined;
    }
  });
  const text = (name: string) => Deno.readTextFileSync(`${dir}/${name}`);
  // The process's name stands in parentheses and may hold anything.
  const stat = text("stat").replace(/^.*\) /s, "").split(" ");
  const result = {
    pid,
    environ: Deno.readFileSync(`${dir}/environ`),
    cmdline: Deno.readFileSync(`${dir}/cmdline`),
    descriptors: text("fd").replaceAll(/:\[\d+\]/g, ":")
      .replace(/^2 .*\.stderr$/m, "2 the server's"),
    flags: [0, 1, 2].map((fd) =>
      /^flags:\s*(\d+)/m.exec(text(`fdinfo.${fd}`))![1]
    ),
    status: withoutOwnSignals(text("status")).split("\n")
      .filter((line) => !VARYING.test(line)).join("\n"),
    limits: text("limits"),
    cwd: text("cwd"),
    scheduling: [15, 16, 37, 38].map((field) => stat[field]).join(" "),
  };
  Deno.removeSync(dir, { recursive: true });
  return result;
}

/**
 * Signals 32 and 33 belong to the C library (nptl(7)). In a process with a second
 * thread the library sets a handler for 33, so an ignored 33 does not stay ignored.
 */
function withoutOwnSignals(status: string): string {
  return status.replace(/^(SigIgn:\t)(\w+)$/m, (_, name, hex) => {
    const others = BigInt(`0x${hex}`) & ~(3n << 31n);
    return name + others.toString(16).padStart(16, "0");
  });
}

const VARYING =
  /^(Pid|Tgid|PPid|NSpid|NStgid|NSpgid|NSsid|Vm\w+|Rss\w+|HugetlbPages|\w*voluntary_ctxt_switches|Mems_\w+|State|SigQ):?\t/;
