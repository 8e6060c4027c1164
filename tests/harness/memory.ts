/**
 * Limits memory by a control group of its own, version 1 or 2.
 *
 * @module
 */

import { waitFor } from "./process.ts";
import { writeFile } from "./root.ts";

interface Layout {
  readonly dir: string;
  readonly limit: string;
  /** The file that must hold 0, so that nothing is swapped out. */
  readonly swap: string;
}

const NAME = `greylist-test-${Deno.pid}`;

const LAYOUTS: readonly Layout[] = [
  {
    dir: `/sys/fs/cgroup/memory/${NAME}`,
    limit: "memory.limit_in_bytes",
    swap: "memory.swappiness",
  },
  {
    dir: `/sys/fs/cgroup/${NAME}`,
    limit: "memory.max",
    swap: "memory.swap.max",
  },
];

/** The first layout in which a group with a limit can be made. */
function open(): Layout | undefined {
  return LAYOUTS.find(({ dir, limit }) => {
    try {
      Deno.mkdirSync(dir);
    } catch {
      return false;
    }
    try {
      Deno.statSync(`${dir}/${limit}`);
      return true;
    } catch {
      Deno.removeSync(dir);
      return false;
    }
  });
}

/** Why there can be no such group here, undefined if there can. */
export function memoryObstacle(): string | undefined {
  const layout = open();
  if (layout === undefined) return "no memory cgroup can be made";
  Deno.removeSync(layout.dir);
  return undefined;
}

/** A group of processes that may use so much memory, and no more. */
export interface MemoryGroup extends AsyncDisposable {
  /** The command in front of a program that puts it into the group. */
  readonly before: readonly string[];
}

/** Makes a group; the kernel ends processes of it that need more. */
export function memoryGroup(bytes: number): MemoryGroup {
  const layout = open();
  if (layout === undefined) throw new Error(memoryObstacle());
  const { dir, limit, swap } = layout;
  Deno.writeTextFileSync(`${dir}/${limit}`, String(bytes));
  try {
    Deno.writeTextFileSync(`${dir}/${swap}`, "0");
  } catch {
    // This kernel has no limit for swap.
  }
  const script = writeFile(
    "memory_group.sh",
    `echo $$ >${dir}/cgroup.procs\nexec "$@"\n`,
  );
  return {
    before: ["/bin/sh", script],
    async [Symbol.asyncDispose]() {
      await waitFor("the end of all processes of the group", () => {
        try {
          Deno.removeSync(dir);
          return true;
        } catch {
          return false;
        }
      });
    },
  };
}
