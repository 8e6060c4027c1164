/**
 * Tests with needs that not every machine meets: a program, root, or mounts.
 *
 * @module
 */

import { findInstalled } from "../../lib/build/find_installed.ts";
import {
  encodeSkipped,
  SKIPPED_VARIABLE,
} from "../../lib/build/test/skipped.ts";
import { type Origin, packageOf } from "./packages.ts";

/** The path of a program that the test has named in its needs. */
export function programPath(name: string): string {
  const path = findInstalled(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

/** An ability that only some builds of a program have. */
export interface Ability {
  readonly program: string;
  /** Such as `IPv6`. */
  readonly what: string;
  /** Tries the ability with the program at this path. */
  readonly works: (path: string) => boolean;
}

/** The needs of a test. */
export interface Needs {
  /** Programs by name, or with what they have to be able to do. */
  readonly programs?: readonly (string | Ability)[];
  /** Whether it binds low ports, changes owners or becomes another user. */
  readonly root?: boolean;
  /** Whether it mounts, which takes root and a system that lets root do so. */
  readonly mounts?: boolean;
  /** Anything else: why the test cannot run here, undefined if it can. */
  readonly obstacle?: () => string | undefined;
  /**
   * What the kernel or the runtime does not have, or does not allow here. No
   * package brings that, so the test is skipped by name even with CI=true.
   */
  readonly kernel?: () => string | undefined;
}

/** The result of {@linkcode Ability.works} for each program that was tried. */
const tried = new Map<Ability, boolean>();

/** Why a program does not meet a need, undefined if it does. */
function lackOf(need: string | Ability): string | undefined {
  const name = typeof need === "string" ? need : need.program;
  const path = findInstalled(name);
  if (path === undefined) return `${name} is not installed`;
  if (typeof need === "string") return undefined;
  let works = tried.get(need);
  if (works === undefined) tried.set(need, works = need.works(path));
  return works ? undefined : `${path} without ${need.what}`;
}

let mountFailure: string | undefined | null = null;

/** Why nothing can be mounted here, undefined if it can; tried once. */
function mountObstacle(): string | undefined {
  if (mountFailure !== null) return mountFailure;
  // A namespace of its own, so that the mount is gone with the process.
  const { success, stderr } = new Deno.Command("unshare", {
    args: [
      "--mount",
      "sh",
      "-c",
      "mount -t tmpfs tmpfs /tmp && mount --bind /tmp /mnt",
    ],
    stdin: "null",
  }).outputSync();
  const reason = new TextDecoder().decode(stderr).split("\n")[0];
  return mountFailure = success ? undefined : reason || "not allowed";
}

/** The unmet needs of a test. */
interface Lack {
  /** One line that says so. */
  readonly text: string;
  /** The packages of programs. */
  readonly origins: readonly Origin[];
  readonly root: boolean;
  readonly mounts: boolean;
  readonly other: boolean;
  /** Whether it is a failure with CI=true. */
  readonly fatal: boolean;
}

/** Finds the unmet needs; undefined if there are none. */
function missing(needs: Needs): Lack | undefined {
  const lacking = (needs.programs ?? []).flatMap((need) => {
    const text = lackOf(need);
    // On every machine, so that a program without a package is noticed.
    const origin = packageOf(typeof need === "string" ? need : need.program);
    return text === undefined ? [] : [{ text, origin }];
  });
  const rooted = needs.root || needs.mounts;
  const root = rooted === true && Deno.uid() !== 0;
  const mounts = needs.mounts && !root ? mountObstacle() : undefined;
  // Only now: these functions may use the programs, root or mounts.
  const able = lacking.length === 0 && !root && mounts === undefined;
  const obstacle = able ? needs.obstacle?.() : undefined;
  const kernel = able ? needs.kernel?.() : undefined;
  const texts = [
    ...new Set(lacking.map(({ text }) => text)),
    root ? "needs root" : undefined,
    mounts === undefined ? undefined : `needs mounts: ${mounts}`,
    obstacle,
    kernel,
  ].filter((text) => text !== undefined);
  if (texts.length === 0) return undefined;
  return {
    text: texts.join(", "),
    origins: lacking.map(({ origin }) => origin),
    root,
    mounts: mounts !== undefined,
    other: obstacle !== undefined || kernel !== undefined,
    fatal: lacking.length > 0 || root || obstacle !== undefined,
  };
}

/** Tells the test runner of a test that is skipped. */
function record(name: string, lack: Lack): void {
  const file = Deno.env.get(SKIPPED_VARIABLE);
  if (file === undefined) return;
  const names = (unpacked: boolean) =>
    lack.origins.filter((origin) => origin.unpacked === unpacked)
      .map((origin) => origin.package);
  const { root, mounts, other } = lack;
  const line = encodeSkipped({
    name,
    packages: names(false),
    unpacked: names(true),
    root,
    mounts,
    other,
  });
  Deno.writeTextFileSync(file, line, { append: true });
}

/**
 * Registers an end-to-end test. If something that it needs is missing, the test
 * is skipped with a line that says so. With CI=true it fails instead, unless
 * only the kernel or the right to mount is missing.
 *
 * @param options of Deno.test, for a test in which a library is opened for good
 */
export function e2e(
  name: string,
  needs: Needs,
  run: (t: Deno.TestContext) => Promise<void> | void,
  options: { sanitizeResources?: boolean } = {},
): void {
  const lack = missing(needs);
  const fatal = lack?.fatal === true && Deno.env.get("CI") === "true";
  if (lack !== undefined && !fatal) {
    console.log(`skipped: ${name}: ${lack.text}`);
    record(name, lack);
  }
  Deno.test({
    ...options,
    name,
    ignore: lack !== undefined && !fatal,
    fn: async (t) => {
      if (lack !== undefined) throw new Error(lack.text);
      await run(t);
    },
  });
}
