/**
 * Users and groups, and becoming one of them for good.
 *
 * @module
 */

import { check, cString, fromLibc, fromLibcAtStart } from "./libc.ts";

const atStart = fromLibcAtStart({
  // uid_t geteuid(void);
  geteuid: { parameters: [], result: "u32" },
});

const libc = fromLibc({
  // struct passwd *getpwnam(const char *name);
  getpwnam: { parameters: ["buffer"], result: "pointer" },
  // struct group *getgrnam(const char *name);
  getgrnam: { parameters: ["buffer"], result: "pointer" },
  // gid_t getegid(void);
  getegid: { parameters: [], result: "u32" },
  // int initgroups(const char *user, gid_t group);
  initgroups: { parameters: ["buffer", "u32"], result: "i32" },
  // int setgid(gid_t gid);
  setgid: { parameters: ["u32"], result: "i32" },
  // int setuid(uid_t uid);
  setuid: { parameters: ["u32"], result: "i32" },
  // int setfsuid(uid_t fsuid);
  setfsuid: { parameters: ["u32"], result: "i32" },
  // int setfsgid(gid_t fsgid);
  setfsgid: { parameters: ["u32"], result: "i32" },
});

/** A user of this machine. */
export interface User {
  readonly name: string;
  readonly uid: number;
  /** Its primary group. */
  readonly gid: number;
}

/** Finds a user by name; undefined if there is none. */
export function findUser(name: string): User | undefined {
  const entry = libc().getpwnam(cString(name));
  if (entry === null) return undefined;
  // struct passwd: two pointers, then pw_uid and pw_gid (pwd.h).
  const view = new Deno.UnsafePointerView(entry);
  return { name, uid: view.getUint32(16), gid: view.getUint32(20) };
}

/** Finds a group's id by name; undefined if there is none. */
export function findGroup(name: string): number | undefined {
  const entry = libc().getgrnam(cString(name));
  if (entry === null) return undefined;
  // struct group: two pointers, then gr_gid (grp.h).
  return new Deno.UnsafePointerView(entry).getUint32(16);
}

/** The effective user id of this process. */
export function userId(): number {
  return atStart.geteuid();
}

/** The effective group id of this process. */
export function groupId(): number {
  return libc().getegid();
}

/**
 * Becomes a user for good, with the groups that the user is in; only root may.
 *
 * @throws {LibcError}
 */
export function becomeUser({ name, uid, gid }: User): void {
  const { initgroups, setgid, setuid } = libc();
  check("initgroups", initgroups(cString(name), gid));
  check("setgid", setgid(gid));
  check("setuid", setuid(uid));
}

/**
 * Works with files as another user (setfsuid(2)): a new file belongs to that user,
 * and only a file that this user may open can be opened. Only root may call it. The
 * work must not await anything, because other work of this thread would get those
 * rights too.
 */
export function withFileRights<T>(
  { uid, gid }: { readonly uid: number; readonly gid: number },
  work: () => T,
): T {
  const { setfsuid, setfsgid } = libc();
  // Neither call reports an error; both return the id that was set before.
  const group = setfsgid(gid);
  const user = setfsuid(uid);
  try {
    return work();
  } finally {
    setfsuid(user);
    setfsgid(group);
  }
}
