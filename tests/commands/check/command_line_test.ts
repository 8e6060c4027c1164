import { assertEquals } from "@std/assert";
import {
  clientNames,
  cut,
  limitBefore,
  places,
  programs,
} from "../../../lib/commands/check/command_line.ts";
import "../../harness/libc.ts";
import { temporary } from "../../harness/temporary.ts";

const line = (text: string) =>
  cut(text === "" ? [] : text.split(" "), (word) => !word.includes("missing"));

Deno.test("check command line: where greylist stands", () => {
  const cases: [string, string, boolean, string][] = [
    ["", "", false, ""],
    ["qmail-smtpd", "", false, "qmail-smtpd"],
    ["softlimit -m 9 qmail-smtpd", "", false, "softlimit -m 9 qmail-smtpd"],
    [
      "tcpserver -H 0 25 greylist softlimit qmail-smtpd",
      "tcpserver -H 0 25",
      false,
      "softlimit qmail-smtpd",
    ],
    ["a /usr/local/bin/greylist b", "a", false, "b"],
    ["a greylist -- b -- c", "a", false, "b -- c"],
    ["a greylist serve 25 -- b c", "a", true, "b c"],
    ["greylist serve 25 587 -- b", "", true, "b"],
    // Another name of the binary, and a user that has its name.
    ["softlimit -m 9 /bin/greylist-mx2 b", "softlimit -m 9", false, "b"],
    ["/bin/greylist-mx2 serve 25 -- b", "", true, "b"],
    [
      "setuidgid greylist /bin/greylist.new b",
      "setuidgid greylist",
      false,
      "b",
    ],
    ["a greylister b", "", false, "a greylister b"],
    // A directory or an argument of that name is no program.
    [
      "qmail-smtpd /missing/greylist",
      "",
      false,
      "qmail-smtpd /missing/greylist",
    ],
  ];
  for (const [text, before, serves, program] of cases) {
    const found = line(text);
    assertEquals(
      [found.before.join(" "), found.serves, found.program.join(" ")],
      [before, serves, program],
      text,
    );
  }
});

Deno.test("check command line: where names of clients come from", () => {
  const cases: [string, boolean, string, string][] = [
    ["tcpserver -vRp 0 25 greylist q", false, "ok", "tcpserver -p"],
    ["tcpserver -v 0 25 greylist q", false, "warn", "without -p"],
    ["tcpserver -vRH 0 25 greylist q", false, "fix", "tcpserver -H"],
    ["sslserver -H 0 25 greylist q", false, "fix", "sslserver -H"],
    ["sslserver -p 0 25 greylist q", false, "fix", "SSLREMOTEHOST"],
    ["sslserver -ep 0 25 greylist q", false, "ok", "sslserver -p"],
    ["sslserver -e 0 25 greylist q", false, "warn", "without -p"],
    // -V takes no value.
    ["sslserver -seV -Rp -l mx 0 25 greylist q", false, "ok", "sslserver -p"],
    // indimail's -e takes one.
    ["tcpserver -e /run/pid -p 0 25 greylist q", false, "ok", "tcpserver -p"],
    // H is a part of a value here, of an option that takes one.
    ["tcpserver -p -lH -x H 0 25 greylist q", false, "ok", "tcpserver -p"],
    // Behind the address nothing is tcpserver's.
    ["tcpserver -p 0 25 sh -H greylist q", false, "ok", "tcpserver -p"],
    ["tcp-env greylist q", false, "ok", "tcp-env"],
    ["tcpsvd 0 25 greylist q", false, "fix", "-h or -p only"],
    ["tcpsvd -h 0 25 greylist q", false, "warn", "without -p"],
    ["tcpsvd -p 0 25 greylist q", false, "ok", "tcpsvd -p"],
    ["tcpsvd -x r.cdb -hp 0 25 greylist q", false, "ok", "tcpsvd -p"],
    ["tcpsvd -t 9 -i dir -p 0 25 greylist q", false, "ok", "tcpsvd -p"],
    ["tcpsvd -E -hp 0 25 greylist q", false, "fix", "tcpsvd -E"],
    ["tcpsvd -x E 0 25 greylist q", false, "fix", "-p only"],
    ["greylist serve 25 -- q", false, "fix", "serve.nameLookup"],
    ["greylist serve 25 -- q", true, "ok", "serve.nameLookup"],
    ["q", false, "note", "inetd"],
    ["", true, "note", "TCPREMOTEHOST"],
  ];
  for (const [text, nameLookup, kind, part] of cases) {
    const finding = clientNames(line(text), nameLookup);
    assertEquals(finding.kind, kind, text);
    assertEquals(finding.text.includes(part), true, finding.text);
  }
});

const NEEDED = { addressSpace: 75_000_000_000n, data: 40_000_000n };

Deno.test("check command line: limits of memory in front", () => {
  const cases: [string, string | undefined][] = [
    ["softlimit -m 9 tcpserver 0 25 greylist q", "softlimit -m"],
    ["softlimit -m9 greylist q", "softlimit -m"],
    ["/bin/softlimit -d 9 -a 9 greylist q", "/bin/softlimit -a"],
    ["chpst -m 9 greylist q", "chpst -m"],
    ["chpst -L /x -m 9 greylist q", "chpst -m"],
    ["chpst -l /x -m 9 greylist q", "chpst -m"],
    ["chpst -/ /x -m 9 greylist q", "chpst -m"],
    ["chpst -C /x -P -m 9 greylist q", "chpst -m"],
    ["s6-softlimit -P 9 -m 9 greylist q", "s6-softlimit -m"],
    ["chpst -L m greylist q", undefined],
    ["softlimit -d 40000000 greylist q", undefined],
    ["softlimit -dm greylist q", undefined],
    ["softlimit -d 39999999 greylist q", "softlimit -d"],
    ["softlimit -m = greylist q", "softlimit -m"],
    ["softlimit -m 75000000000 greylist q", undefined],
    ["softlimit -m 75000000000 -d 9 greylist q", "softlimit -d"],
    ["greylist softlimit -m 9 q", undefined],
    ["softlimit -m 9 q", undefined],
    ["tcpserver -m 9 greylist q", undefined],
  ];
  for (const [text, start] of cases) {
    const [finding] = limitBefore(line(text), NEEDED);
    assertEquals(
      finding?.text.slice(0, start?.length),
      start,
      text,
    );
    assertEquals(finding?.kind, start && "fix");
  }
});

Deno.test("check command line: where serve listens, and who starts it", () => {
  const cases: [string, string | undefined, string[]][] = [
    ["greylist q", undefined, []],
    ["greylist serve 25 [::1]:587 -- q", "qmaild", []],
    ["greylist serve -- q", "qmaild", []],
    ["greylist serve bogus:port -- q", "qmaild", ["fix"]],
    ["greylist serve 25 -- q", undefined, ["note"]],
    ["greylist serve 25 0:99999 -- q", undefined, ["fix", "note"]],
  ];
  for (const [text, user, kinds] of cases) {
    const found = places(line(text), user).map(({ kind }) => kind);
    assertEquals(found, kinds, text);
  }
});

Deno.test("check command line: no PROGRAM", () => {
  for (const text of ["tcpserver 0 25 greylist", "greylist serve 25 --"]) {
    assertEquals(programs(line(text)).map(({ kind }) => kind), ["fix"], text);
  }
  assertEquals(programs(line("")), []);
});

Deno.test("check command line: a PROGRAM without the name of its interpreter", () => {
  using dir = temporary();
  for (
    const [text, kinds] of [
      ["exec qmail-smtpd\n", ["ok", "warn"]],
      ["#!/bin/sh\nexec qmail-smtpd\n", ["ok"]],
      ["\x7fELF\x02\x01\x01\0", ["ok"]],
    ] as const
  ) {
    const path = `${dir.path}/program`;
    Deno.writeTextFileSync(path, text);
    Deno.chmodSync(path, 0o755);
    assertEquals(programs(line(path)).map(({ kind }) => kind), [...kinds]);
  }
});
