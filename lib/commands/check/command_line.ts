/**
 * `greylist check`: the command line of a run script. Its words may be PROGRAM
 * with its arguments, or everything from the super-server on.
 *
 * @module
 */

import { findProgram, mayAccess } from "../../system/access.ts";
import { C } from "../../system/constants.ts";
import { close, open } from "../../system/descriptor.ts";
import { readStart } from "../../system/file.ts";
import { userId } from "../../system/user.ts";
import { parseListenAddress } from "../../serve/listen_address.ts";
import { type Finding, fix, note, ok, warn } from "./finding.ts";
import type { Needed } from "./limits.ts";

/** A command line, cut at the word that is greylist. */
export interface CommandLine {
  /** The words in front of greylist, empty if it is not among the words. */
  readonly before: readonly string[];
  /** Whether greylist is among the words. */
  readonly isWhole: boolean;
  /** Whether the words run `greylist serve`. */
  readonly serves: boolean;
  /** The words between `serve` and `--`. */
  readonly places: readonly string[];
  /** PROGRAM and its arguments. */
  readonly program: readonly string[];
}

/**
 * Cuts a command line.
 *
 * @param isProgram whether a word can be executed
 */
export function cut(
  words: readonly string[],
  isProgram: (word: string) => boolean,
): CommandLine {
  // The last one: a user, or a directory in front of it, may have that name too.
  const at = words.findLastIndex((word) => NAME.test(word) && isProgram(word));
  const before = words.slice(0, Math.max(at, 0));
  const rest = words.slice(at + 1);
  const serves = at >= 0 && rest[0] === "serve";
  const end = serves || rest[0] === "--" ? rest.indexOf("--") : -1;
  return {
    before,
    isWhole: at >= 0,
    serves,
    places: serves ? rest.slice(1, Math.max(end, 1)) : [],
    program: rest.slice(end + 1),
  };
}

/** Names of this program: `greylist`, or such as `greylist-mx2`. */
const NAME = /(?:^|\/)greylist(?:[-.][^/]*)?$/;

/** Whether a word is a program of that name, with or without a directory. */
function named(word: string, ...names: string[]): boolean {
  return names.includes(word.slice(word.lastIndexOf("/") + 1));
}

/** Looks at PROGRAM, and at all files that the command line names. */
export function programs({ before, isWhole, program }: CommandLine): Finding[] {
  const [name, ...args] = program;
  if (name === undefined) {
    return isWhole
      ? [fix("no PROGRAM behind greylist in the command line")]
      : [];
  }
  const path = findProgram(name);
  const findings = [
    path === undefined
      ? fix(`${name}: no program that uid ${userId()} can execute`)
      : ok(`PROGRAM is ${path}`),
  ];
  if (path !== undefined && lacksInterpreter(path)) {
    findings.push(warn(
      `${path}: a script without a first line such as #!/bin/sh: neither ` +
        "serve nor a wrapper that hangs can start it",
    ));
  }
  const files = [...before, ...args].filter((word) => word.startsWith("/"));
  const missing = files.filter((file) => !mayAccess(file, "exist"));
  for (const file of missing) {
    findings.push(fix(`${file}: no such file that uid ${userId()} can see`));
  }
  if (files.length > 0 && missing.length === 0) {
    findings.push(ok(`files in the command line: ${files.join(", ")}`));
  }
  return findings;
}

/**
 * Whether a program is a text that does not name its interpreter. execvp(3) has
 * sh(1) run it; posix_spawnp(3) does not.
 */
function lacksInterpreter(path: string): boolean {
  let start: Uint8Array;
  try {
    const fd = open(path, C.O_RDONLY | C.O_NONBLOCK);
    try {
      start = readStart(fd, 256);
    } finally {
      close(fd);
    }
  } catch {
    // A program may be executed without being read.
    return false;
  }
  return !start.includes(0) && !(start[0] === 0x23 && start[1] === 0x21);
}

/** Where `serve` listens, and whether root may start it. */
export function places(line: CommandLine, user: string | undefined): Finding[] {
  if (!line.serves) return [];
  const bad = line.places.filter((place) =>
    parseListenAddress(place) === undefined
  );
  const findings = bad.map((place) =>
    fix(`greylist serve ${place}: expected [HOST:]PORT`)
  );
  if (user !== undefined) return findings;
  return [
    ...findings,
    note("serve.user is not given: serve does not start if root starts it"),
  ];
}

/** Programs that limit memory. */
const LIMITERS = ["softlimit", "s6-softlimit", "chpst"] as const;

/**
 * Limits in front of greylist under which it cannot start.
 *
 * @param needed the least limits, in bytes
 */
export function limitBefore(
  { before }: CommandLine,
  needed: Needed,
): Finding[] {
  return before.flatMap((word, i) => {
    const limiter = LIMITERS.find((name) => named(word, name));
    if (limiter === undefined) return [];
    const options = optionsAfter(before, i, WITH_VALUE[limiter]);
    /** Undefined if the value is no number: `=` is the hard limit. */
    const isBelow = (letter: string, least: bigint) => {
      const value = options.get(letter);
      if (value === undefined) return false;
      return /^\d+$/.test(value) ? BigInt(value) < least : undefined;
    };
    const option = [..."ma"].find((letter) =>
      isBelow(letter, needed.addressSpace) !== false
    );
    if (option !== undefined) {
      return [fix(
        `${word} -${option} in front of greylist: no Deno program starts under ` +
          `a limit of the address space: put ${word} behind greylist`,
      )];
    }
    return isBelow("d", needed.data) === true
      ? [fix(
        `${word} -d in front of greylist: expected ${needed.data} or more, or ` +
          `${word} behind greylist`,
      )]
      : [];
  });
}

/** The options of each program that take a value, by its getopt string. */
const WITH_VALUE = {
  softlimit: "acdflmoprst",
  "s6-softlimit": "acdflmoPprst",
  // runit 2.2; the lock of -L and -l and the root of -/ are values too.
  chpst: "uUbemdopfcrt/nlLC",
  // ucspi-tcp, ucspi-tcp6 and indimail's.
  tcpserver: "aBbCcefgIiLlMmnTtux",
  // ucspi-ssl.
  sslserver: "BbcfgIlTtuwx",
  // ipsvd; -E takes none.
  tcpsvd: "bCciltux",
};

/**
 * The options behind a program's name: letters, and their values or "".
 *
 * @param withValue the letters that take a value
 */
function optionsAfter(
  words: readonly string[],
  at: number,
  withValue: string,
): Map<string, string> {
  const options = new Map<string, string>();
  for (let i = at + 1; words[i]?.startsWith("-"); i++) {
    for (let j = 1; j < words[i].length; j++) {
      const letter = words[i][j];
      options.set(letter, "");
      if (!withValue.includes(letter)) continue;
      // The value is the rest of this word, or the next one.
      options.set(letter, words[i].slice(j + 1) || (words[++i] ?? ""));
      break;
    }
  }
  return options;
}

/** The super-servers whose options say whether clients have names. */
const LOOKING_UP = ["tcpserver", "sslserver", "tcpsvd"] as const;

const NOBODY = "no client has a name, so no list with host names works";

/** Whether clients have names, if rules need them. */
export function clientNames(line: CommandLine, nameLookup: boolean): Finding {
  if (line.serves) {
    return nameLookup
      ? ok("names of clients: serve.nameLookup")
      : fix(`${NOBODY}: serve.nameLookup is off`);
  }
  const { before } = line;
  for (const [i, word] of before.entries()) {
    if (named(word, "tcp-env", "s6-tcpserver-access")) {
      return ok(`names of clients: ${word}`);
    }
    const server = LOOKING_UP.find((name) => named(word, name));
    if (server === undefined) continue;
    const options = optionsAfter(before, i, WITH_VALUE[server]);
    const why = whyNameless(server, options);
    if (why !== undefined) return fix(`${NOBODY}: ${word} ${why}`);
    return options.has("p") ? ok(`names of clients: ${word} -p`) : warn(
      `names of clients: ${word} without -p believes any name that the ` +
        "client's own DNS claims",
    );
  }
  return note(
    "host names in lists count only if TCPREMOTEHOST is set: tcpserver " +
      "without -H sets it; inetd, xinetd and systemd do not" +
      (nameLookup ? "" : "; serve does only with serve.nameLookup"),
  );
}

/** Why a super-server with these options sets no TCPREMOTEHOST, if it sets none. */
function whyNameless(
  server: typeof LOOKING_UP[number],
  options: ReadonlyMap<string, string>,
): string | undefined {
  if (server === "tcpsvd") {
    if (options.has("E")) return "-E sets no variables";
    // tcpsvd(8): -p implies -h.
    const looksUp = options.has("h") || options.has("p");
    return looksUp ? undefined : "looks names up with -h or -p only";
  }
  if (options.has("H")) return "-H looks no names up";
  return server === "sslserver" && !options.has("e")
    ? "without -e sets SSLREMOTEHOST instead of TCPREMOTEHOST"
    : undefined;
}
