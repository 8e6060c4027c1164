/**
 * What `serve` hands over to the next image of itself in the same process: its
 * listening sockets, and the programs that it has started for clients.
 *
 * The sockets and a file in memory keep their descriptors over execve(2). Their
 * numbers stand in an environment variable, the programs in the file.
 *
 * @module
 */

import { close } from "../system/descriptor.ts";
import { variable } from "../system/environment.ts";
import { readToEnd, rewrite } from "../system/file.ts";
import { encode } from "../system/utf8.ts";
import { memoryFile } from "../system/memory_file.ts";
import { type Listening, takeListening } from "../system/inherited.ts";
import type { Served } from "./children.ts";

/** The variable of a hand-over, and of the check before it. */
export const HANDOVER_VARIABLE = "GREYLIST_UPGRADE";

/**
 * The version of the file's form. A change that an older image would misread needs a
 * new one.
 */
const VERSION = 1;

/** What `check` finds in the variable: the file is understood in this form. */
export const CHECK_VALUE: string = `check ${VERSION}`;

/** What `check` says if the binary can take over from one that runs. */
export const TAKES_OVER = "takes over from a serve that runs (SIGUSR2)";

/** What the file has. */
export interface Handover {
  /** The programs, by process id. */
  readonly programs: readonly (readonly [pid: number, served: Served])[];
  /** Whether another upgrade was asked for meanwhile. */
  readonly again: boolean;
  /** The listening sockets that no other process has. */
  readonly own: readonly number[];
  /** The path of the binary; undefined if an older image has not said it. */
  readonly path: string | undefined;
}

/** What the image before this one has handed over. */
export interface Taken extends Handover {
  readonly listeners: readonly Listening[];
  /** Why the programs are not known, if that is so. */
  readonly problem?: string;
}

/**
 * Writes a hand-over.
 *
 * @returns its variables, and the descriptor of the file
 * @throws {LibcError}
 */
export function writeHandover(
  { programs, again, own, path }: Handover,
  listeners: readonly number[],
): { variables: Record<string, string>; file: number } {
  const file = memoryFile("greylist-upgrade");
  try {
    const version = VERSION;
    const text = JSON.stringify({ version, programs, again, own, path });
    rewrite(file, encode(text));
  } catch (error) {
    close(file);
    throw error;
  }
  const value = `${Deno.pid} ${file} ${listeners.join(",")}`;
  return { variables: { [HANDOVER_VARIABLE]: value }, file };
}

/**
 * Takes what was handed over to this process. No program that it starts finds the
 * variable.
 *
 * @returns undefined if nothing was handed over, or only to another process
 * @throws {Error} if a descriptor is no listening socket
 */
export function takeHandover(): Taken | undefined {
  const value = variable(HANDOVER_VARIABLE) ?? "";
  Deno.env.delete(HANDOVER_VARIABLE);
  const match = /^(\d+) (\d{1,9}) (\d{1,9}(?:,\d{1,9})*)$/.exec(value);
  if (match === null || match[1] !== String(Deno.pid)) return undefined;
  const listeners = match[3].split(",").map((fd) => takeListening(Number(fd)));
  return { listeners, ...readHandover(Number(match[2])) };
}

/** Reads the file, and closes it. */
function readHandover(file: number): Handover & { problem?: string } {
  let problem = "expected what this version understands";
  try {
    const text = new TextDecoder().decode(readToEnd(file));
    close(file);
    // An older image does not write `own` and `path`.
    const { version, programs, again, own = [], path } = JSON.parse(text);
    if (version === VERSION) return { programs, again, own, path };
  } catch (error) {
    problem = (error as Error).message;
  }
  return { programs: [], again: false, own: [], path: undefined, problem };
}
