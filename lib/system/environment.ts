/**
 * The environment of this process.
 *
 * @module
 */

import { fromLibc } from "./libc.ts";

const libc = fromLibc({
  // extern char **environ;
  environ: { type: "pointer" },
});

/**
 * An environment variable; undefined if it is not set. A variable whose value is
 * not UTF-8 counts as set.
 */
export function variable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (error instanceof Deno.errors.InvalidData) return "\ufffd";
    throw error;
  }
}

/** One `name=value` string of the environment. */
export interface EnvironmentString {
  readonly name: string;
  /** The address of the string in the C library. */
  readonly address: bigint;
}

/** The address of the table of the environment; 0 is none at all. */
export function environmentTable(): bigint {
  // `environ` is a variable of the C library: its value is the address of the table.
  return new Deno.UnsafePointerView(libc().environ!).getBigUint64();
}

/** The whole environment as it is, whatever bytes are in it. */
export function environmentStrings(): EnvironmentString[] {
  const found: EnvironmentString[] = [];
  const table = Deno.UnsafePointer.create(environmentTable());
  if (table === null) return found;
  const view = new Deno.UnsafePointerView(table);
  for (let i = 0;; i++) {
    const address = view.getBigUint64(8 * i);
    const string = Deno.UnsafePointer.create(address);
    if (string === null) return found;
    found.push({ name: nameAt(string), address });
  }
}

/** What stands before the `=`. */
function nameAt(string: Deno.PointerObject): string {
  const view = new Deno.UnsafePointerView(string);
  let name = "";
  for (let i = 0;; i++) {
    const byte = view.getUint8(i);
    if (byte === 0 || byte === 0x3d) return name;
    name += String.fromCharCode(byte);
  }
}
