/**
 * The filters of system calls that systemd makes of a unit's settings, made by
 * the same library, libseccomp: systemd.exec(5), seccomp_rule_add(3).
 *
 * @module
 */

import { C, E } from "../../lib/system/constants.ts";
import { close, open } from "../../lib/system/descriptor.ts";
import { cString } from "../../lib/system/libc.ts";
import { programPath } from "./need.ts";
import { emptyDir, writeFile } from "./root.ts";
import { type Settings, valueOf, wordsOf } from "./unit.ts";

const FUNCTIONS = {
  seccomp_init: { parameters: ["u32"], result: "pointer" },
  seccomp_syscall_resolve_name: { parameters: ["buffer"], result: "i32" },
  seccomp_rule_add_array: {
    parameters: ["pointer", "u32", "i32", "u32", "buffer"],
    result: "i32",
  },
  seccomp_export_bpf: { parameters: ["pointer", "i32"], result: "i32" },
  seccomp_release: { parameters: ["pointer"], result: "void" },
} as const;

type Library = Deno.DynamicLibrary<typeof FUNCTIONS>;

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const fail = (errno: number) => 0x00050000 | errno;

/** SCMP_CMP_EQ, SCMP_CMP_GT, SCMP_CMP_NE and SCMP_CMP_MASKED_EQ. */
const EQUAL = 4, GREATER = 6, UNEQUAL = 1, MASKED = 7;

/** A comparison of one argument: its number, the operator, one or two values. */
type Comparison = readonly [number, number, number, number?];

interface Rule {
  readonly calls: readonly string[];
  readonly action: number;
  readonly when?: Comparison;
}

interface Filter {
  /** What any other call meets. */
  readonly otherwise: number;
  readonly rules: readonly Rule[];
}

/** From sys/socket.h. */
const FAMILIES: Readonly<Record<string, number>> = {
  AF_UNIX: C.AF_UNIX,
  AF_INET: C.AF_INET,
  AF_INET6: C.AF_INET6,
};

/** AF_MAX is not far above. */
const LAST_FAMILY = 45;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of sched.h. */
const NAMESPACES = [17, 25, 26, 27, 28, 29, 30].map((bit) => 2 ** bit);

const SET_UID = 0o4000, SET_GID = 0o2000;

/** Where the mode of a file stands among the arguments. */
const MODES: Readonly<Record<string, number>> = {
  chmod: 1,
  creat: 1,
  fchmod: 1,
  fchmodat: 2,
  mkdir: 1,
  mkdirat: 2,
  mknod: 1,
  mknodat: 2,
  open: 2,
  openat: 3,
};

/** Groups that one setting takes away. */
const DENIED: Readonly<Record<string, readonly string[]>> = {
  ProtectClock: ["@clock"],
  ProtectHostname: ["sethostname", "setdomainname"],
  ProtectKernelLogs: ["syslog"],
  ProtectKernelModules: ["@module"],
};

/** The settings that {@linkcode filterFiles} looks at. */
export const FILTER_SETTINGS: readonly string[] = [
  ...Object.keys(DENIED),
  "LockPersonality",
  "RestrictAddressFamilies",
  "RestrictNamespaces",
  "RestrictRealtime",
  "RestrictSUIDSGID",
  "SystemCallArchitectures",
  "SystemCallErrorNumber",
  "SystemCallFilter",
];

function filtersOf(settings: Settings): Filter[] {
  const isOn = (name: string) => valueOf(settings, name) === "yes";
  const filters: Filter[] = [];
  const deny = (...rules: Rule[]) => filters.push({ otherwise: ALLOW, rules });
  if (settings.has("SystemCallFilter")) filters.push(listOf(settings));
  for (const [name, calls] of Object.entries(DENIED)) {
    if (!isOn(name)) continue;
    deny({ calls: calls.flatMap(expand), action: fail(E.EPERM) });
  }
  const families = wordsOf(settings, "RestrictAddressFamilies");
  if (families.length > 0) {
    const allowed = families.map((name) => FAMILIES[name]);
    const socket = (when: Comparison): Rule => ({
      calls: ["socket"],
      action: fail(E.EAFNOSUPPORT),
      when,
    });
    const others = Array.from({ length: LAST_FAMILY + 1 }, (_, i) => i)
      .filter((family) => !allowed.includes(family));
    deny(
      ...others.map((family) => socket([0, EQUAL, family])),
      socket([0, GREATER, LAST_FAMILY]),
    );
  }
  if (isOn("RestrictNamespaces")) {
    const action = fail(E.EPERM);
    deny(
      { calls: ["setns"], action },
      // Its flags are in memory, where no filter looks.
      { calls: ["clone3"], action: fail(E.ENOSYS) },
      ...NAMESPACES.map((flag): Rule => ({
        calls: ["clone", "unshare"],
        action,
        when: [0, MASKED, flag, flag],
      })),
    );
  }
  if (isOn("RestrictSUIDSGID")) {
    deny(
      { calls: ["openat2"], action: fail(E.ENOSYS) },
      ...Object.entries(MODES).flatMap(([call, argument]) =>
        [SET_UID, SET_GID].map((bit): Rule => ({
          calls: [call],
          action: fail(E.EPERM),
          when: [argument, MASKED, bit, bit],
        }))
      ),
    );
  }
  if (isOn("RestrictRealtime")) {
    // SCHED_OTHER, SCHED_BATCH and SCHED_IDLE are 0, 3 and 5.
    const policy = (when: Comparison): Rule => ({
      calls: ["sched_setscheduler"],
      action: fail(E.EPERM),
      when,
    });
    deny(
      ...[1, 2, 4].map((n) => policy([1, EQUAL, n])),
      policy([1, GREATER, 5]),
    );
  }
  if (isOn("LockPersonality")) {
    deny({
      calls: ["personality"],
      action: fail(E.EPERM),
      when: [0, UNEQUAL, 0],
    });
  }
  return filters;
}

/**
 * The calls that SystemCallFilter allows; the first word decides that it is a
 * list of what is allowed. systemd answers ENOSYS to calls that it does not know;
 * this filter is stricter.
 */
function listOf(settings: Settings): Filter {
  const allowed = new Set(expand("@default"));
  for (const line of settings.get("SystemCallFilter")!) {
    const isOff = line.startsWith("~");
    for (const word of line.replace("~", "").split(" ")) {
      for (const call of expand(word)) {
        if (isOff) allowed.delete(call);
        else allowed.add(call);
      }
    }
  }
  const isError = valueOf(settings, "SystemCallErrorNumber") === "EPERM";
  return {
    otherwise: isError ? fail(E.EPERM) : KILL,
    rules: [{ calls: [...allowed], action: ALLOW }],
  };
}

const groups = new Map<string, readonly string[]>();

/** The calls of a group, as `systemd-analyze syscall-filter` lists them. */
function expand(word: string): readonly string[] {
  if (!word.startsWith("@")) return [word];
  let calls = groups.get(word);
  if (calls !== undefined) return calls;
  const { stdout } = new Deno.Command(programPath("systemd-analyze"), {
    args: ["--no-pager", "syscall-filter", word],
    env: { SYSTEMD_COLORS: "0" },
  }).outputSync();
  calls = new TextDecoder().decode(stdout).split("\n").slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .flatMap(expand);
  if (calls.length === 0) throw new Error(`${word}: no such group`);
  groups.set(word, calls);
  return calls;
}

/** struct scmp_arg_cmp { unsigned arg; enum op; uint64_t a; uint64_t b; }; */
function comparison(
  [argument, operator, a, b = 0]: Comparison,
): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, argument, true);
  view.setUint32(4, operator, true);
  view.setBigUint64(8, BigInt(a), true);
  view.setBigUint64(16, BigInt(b), true);
  return new Uint8Array(view.buffer);
}

function compile({ symbols }: Library, filter: Filter, path: string): void {
  const context = symbols.seccomp_init(filter.otherwise);
  for (const { calls, action, when } of filter.rules) {
    for (const name of calls) {
      const call = symbols.seccomp_syscall_resolve_name(cString(name));
      // Some are of other architectures: a negative number.
      if (call < 0) continue;
      const code = symbols.seccomp_rule_add_array(
        context,
        action,
        call,
        when === undefined ? 0 : 1,
        when === undefined ? null : comparison(when),
      );
      if (code !== 0) throw new Error(`seccomp_rule_add: ${name}: ${code}`);
    }
  }
  const fd = open(path, C.O_WRONLY);
  const code = symbols.seccomp_export_bpf(context, fd);
  close(fd);
  symbols.seccomp_release(context);
  if (code !== 0) throw new Error(`seccomp_export_bpf: ${code}`);
}

/**
 * Makes the filters of a unit.
 *
 * @returns the paths of files with BPF programs, in the order to load them
 */
export function filterFiles(settings: Settings): string[] {
  emptyDir("seccomp");
  const library = Deno.dlopen("libseccomp.so.2", FUNCTIONS);
  try {
    return filtersOf(settings).map((filter, i) => {
      const path = writeFile(`seccomp/${i}`, "");
      compile(library, filter, path);
      return path;
    });
  } finally {
    library.close();
  }
}
