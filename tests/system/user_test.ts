import { assertEquals } from "@std/assert";
import { findGroup, findUser, userId } from "../../lib/system/user.ts";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";
import "../harness/libc.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";

const EPERM = 1;

Deno.test("user: the users of this machine", () => {
  assertEquals(findUser("root"), { name: "root", uid: 0, gid: 0 });
  assertEquals(findGroup("root"), 0);
  const lines = Deno.readTextFileSync("/etc/passwd").trim().split("\n");
  for (const line of lines) {
    const [name, , uid, gid] = line.split(":");
    const user = findUser(name);
    assertEquals(user, { name, uid: Number(uid), gid: Number(gid) });
  }
});

Deno.test("user: names of no user", () => {
  for (const name of ["", "no-such-user", "0", "root ", "r\u00f6t"]) {
    assertEquals(findUser(name), undefined, name);
    assertEquals(findGroup(name), undefined, name);
  }
});

Deno.test("user: the user of this process", () => {
  assertEquals(userId(), Deno.uid());
});

e2e(
  "user: becoming one for good, in every thread",
  { root: true },
  async () => {
    const { stdout: groups } = await run(["id", "-G", "nobody"]);
    const url = JSON.stringify(moduleUrl("lib/system/user.ts"));
    const harness = JSON.stringify(moduleUrl("tests/harness/process.ts"));
    const { code, stdout, stderr } = await evaluate(`
    import { becomeUser, findUser, userId } from ${url};
    import { statusesOf } from ${harness};
    becomeUser(findUser("nobody"));
    console.log(userId());
    for (const text of statusesOf(Deno.pid).values()) {
      console.log(text.match(/^(Uid|Gid|Groups):.*$/gm).join(" "));
    }
    try {
      becomeUser({ name: "root", uid: 0, gid: 0 });
    } catch (error) {
      console.log(error.code, error.message);
    }`);
    assertEquals([code, stderr], [0, ""]);
    const lines = stdout.trim().split("\n");
    const { uid, gid } = findUser("nobody")!;
    assertEquals(lines.shift(), `${uid}`);
    assertEquals(
      lines.pop(),
      `${EPERM} initgroups: Operation not permitted`,
    );
    const four = (id: number) => Array(4).fill(id).join("\t");
    const expected = `Uid:\t${four(uid)} Gid:\t${four(gid)} Groups:\t` +
      groups.trim();
    assertEquals(
      new Set(lines.map((line) => line.trim())),
      new Set([expected]),
    );
  },
);

// As root, in a process without any capability.
const isRoot = Deno.uid() === 0;
e2e(
  "user: without the right to, none becomes another",
  { programs: isRoot ? ["setpriv"] : [] },
  async () => {
    const url = JSON.stringify(moduleUrl("lib/system/user.ts"));
    const without = isRoot ? "setpriv --bounding-set=-all" : "";
    const { code, stdout, stderr } = await evaluate(
      `
    import { becomeUser, findUser } from ${url};
    try {
      becomeUser(findUser("nobody"));
    } catch (error) {
      console.log(error.code, error.message);
    }`,
      `exec ${without} "$@"`,
    );
    assertEquals([code, stdout, stderr], [
      0,
      `${EPERM} initgroups: Operation not permitted\n`,
      "",
    ]);
  },
);
