import { assertEquals } from "@std/assert";
import { fieldOf, LogReader } from "../../lib/report/logline.ts";

const DEFER = "defer ip=203.0.113.9 net=203.0.113.0/24 reason=new wait=60 " +
  "helo=mail.example from=<a=b@c.example> to=<d@e.example>";

/** When a log was written that has no years: 2026-11-24, local time. */
const WRITTEN = new Date(2026, 10, 24).getTime() / 1000;

function read(line: string, written = WRITTEN) {
  return new LogReader(written).read(line);
}

function utc(text: string): number {
  return Date.parse(text) / 1000;
}

function local(...parts: [number, number, number, number, number, number]) {
  const [year, month, ...rest] = parts;
  return new Date(year, month - 1, ...rest).getTime() / 1000;
}

Deno.test("a line without a frame", () => {
  const line = read(DEFER);
  assertEquals(line.time, undefined);
  assertEquals([line.kind, line.level, line.verb], ["entry", "INFO", "defer"]);
  assertEquals(fieldOf(line, "net"), "203.0.113.0/24");
  assertEquals(fieldOf(line, "reason"), "new");
  assertEquals(fieldOf(line, "from"), "<a=b@c.example>");
  assertEquals(fieldOf(line, "to"), "<d@e.example>");
  assertEquals(fieldOf(line, "age"), undefined);
});

Deno.test("every frame gives the same entry and its time", () => {
  const whole = utc("2026-11-23T19:00:00Z");
  const here = local(2026, 11, 23, 19, 0, 0);
  const frames: [string, number][] = [
    // 2^62 + 10 + 1795460400 (daemontools' tai64n).
    ["@400000006b048d3a075bcd15 ", whole + 0.123456789],
    ["2026-11-23 19:00:00.123456789 ", here + 0.123456789],
    ["2026-11-23T19:00:00.123Z ", whole + 0.123],
    // svlogd -tt and -ttt; s6-log T.
    ["2026-11-23_19:00:00.12345 ", whole + 0.12345],
    ["2026-11-23T19:00:00.12345 ", here + 0.12345],
    ["2026-11-23 19:00:00.123456789  ", here + 0.123456789],
    ["2026-11-23T20:00:00.123456+01:00 mx greylist[123]: ", whole + 0.123456],
    ["2026-11-23T14:30:00-04:30 mx greylist[123]: ", whole],
    ["2026-11-23T19:00:00+0000 mx greylist[123]: ", whole],
    ["Nov 23 19:00:00 mx greylist[123]: ", here],
    ["Nov 23 19:00:00 mx greylist: ", here],
    ["Nov 23 19:00:00 mx mail.info greylist[123]: ", here],
    ["<22>Nov 23 19:00:00 greylist[123]: ", here],
    ["Nov 23 19:00:00 mx smtpd: ", here],
    // splogger's seconds are exact, and have the year; so are accustamp's.
    ["Nov 23 19:00:00 mx smtpd: 1290000000.123456 ", 1290000000.123456],
    ["Nov 23 19:00:00 mx smtpd[7]: 1795460400.250000 ", 1795460400.25],
    ["1795460400.250000 ", 1795460400.25],
  ];
  for (const [frame, time] of frames) {
    const line = read(frame + DEFER);
    assertEquals(line.kind, "entry", frame);
    assertEquals(line.verb, "defer", frame);
    assertEquals(line.fields, DEFER.slice("defer".length), frame);
    assertEquals(Math.abs(line.time! - time) < 1e-6, true, frame);
  }
});

Deno.test("a day of one digit", () => {
  const time = local(2026, 11, 3, 1, 2, 3);
  assertEquals(read(`Nov  3 01:02:03 mx greylist: ${DEFER}`).time, time);
});

Deno.test("levels in either case, with or without a verb", () => {
  const file = "2026-11-23T19:00:00.123Z ";
  for (const frame of ["", file, "Nov 23 19:00:00 mx greylist[1]: "]) {
    const error = read(`${frame}error pass ip=192.0.2.1 reason=error what="a"`);
    assertEquals([error.level, error.verb], ["ERROR", "pass"]);
    const warning = read(`${frame}warn what="FILE:3: reason=x"`);
    assertEquals([warning.level, warning.verb], ["WARN", ""]);
    assertEquals(fieldOf(warning, "reason"), undefined);
    assertEquals(read(`${frame}INFO ${DEFER}`).level, "INFO");
  }
});

Deno.test("text in quotation marks is not read as fields", () => {
  const line = read('error defer what="x net=192.0.2.0/24 reason=new"');
  assertEquals([line.kind, line.level, line.verb], ["entry", "ERROR", "defer"]);
  assertEquals(line.fields, "");
});

Deno.test("what an error or a warning says", () => {
  const said = (line: string) => read(line).what;
  assertEquals(
    said('error pass ip=x what="disk full net=y"'),
    "disk full net=y",
  );
  assertEquals(said('warn what="FILE:3: it\'s bad"'), "FILE:3: it's bad");
  assertEquals(said(DEFER), "");
});

Deno.test("mode observe", () => {
  const line = read(DEFER.replace("defer", "would-defer"));
  assertEquals([line.kind, line.verb], ["entry", "would-defer"]);
  assertEquals(fieldOf(line, "reason"), "new");
  assertEquals(read("would-defer ip=192.0.2.1").kind, "unreadable");
});

Deno.test("the host, as a syslog daemon names it", () => {
  const hostOf = (frame: string, host?: string) =>
    new LogReader(WRITTEN, host).read(frame + DEFER).host;
  assertEquals(hostOf("Nov 23 19:00:00 mx1 greylist[123]: "), "mx1");
  assertEquals(hostOf("Nov 23 19:00:00 mx1 mail.info greylist[1]: "), "mx1");
  assertEquals(hostOf("2026-11-23T19:00:00+0000 mx2 greylist: "), "mx2");
  assertEquals(hostOf("<22>Nov 23 19:00:00 greylist[123]: "), undefined);
  assertEquals(hostOf("2026-11-23T19:00:00.123Z "), undefined);
  // The host of the command line is the better one.
  assertEquals(hostOf("Nov 23 19:00:00 mx1 greylist[123]: ", "a"), "a");
  assertEquals(hostOf("2026-11-23T19:00:00.123Z ", "a"), "a");
});

Deno.test("other entries", () => {
  const line = read("@400000006a9d5bfa00000000 prune removed=3");
  assertEquals([line.kind, line.verb], ["entry", "prune"]);
});

Deno.test("lines of other programs", () => {
  const foreign = [
    "@400000006a9d5bfa00000000 tcpserver: status: 1/40",
    "Nov 23 19:00:00 mx postfix/smtpd[1]: connect from a[192.0.2.1]",
    "2026-11-23T19:00:00+0000 mx systemd[1]: Started x.",
    "-- Boot 5b6c --",
    "Nov 23 19:00:00 mx named[8]: error (unexpected RCODE REFUSED) resolving",
    "Nov 23 19:00:00 mx snmpd[9]: error on subcontainer 'ia_addr' insert (-1)",
    "Nov 23 19:00:00 mx foo: info something",
    "Nov 23 19:00:00 mx smtpd: 1290000000.123456 tcpserver: status: 1/40",
    "1290000000.123456 tcpserver: status: 1/40",
  ];
  for (const line of foreign) assertEquals(read(line).kind, "foreign", line);
});

Deno.test("lines that cannot be parsed", () => {
  const damaged = [
    "",
    " ",
    "hello",
    "defer",
    "defer ip=192.0.2.1",
    "pass ip=192.0.2.1 net=192.0.2.0/24 reaso",
    "Nov 23 19:00:00 mx greylist[1]: deferred by hand",
    "@4000000",
    "\0\0\0\0",
    "2026-11-23",
    "<22",
    "<22>",
    "<<<<<<<<<<<",
  ];
  for (const line of damaged) {
    assertEquals(read(line).kind, "unreadable", JSON.stringify(line));
  }
});

Deno.test("a stamp that cannot be is no stamp", () => {
  const wrong = [
    "@400000006a9d5bfa0000000g",
    "@3fffffff6a9d5bfa00000000",
    // Beyond 32 bits.
    "@4f0000006a9d5bfa00000000",
    "2106-02-08T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-11-32 00:00:00",
    "2026-11-23T24:00:00Z",
    "2026-11-23T19:60:00Z",
    "2026-11-23T19.00.00Z",
    "2026/11/23 19:00:00",
    "2026-11-23T19:00:00+0",
    "Nov 32 19:00:00",
    "Now 23 19:00:00",
    "Nov 23 19-00-00",
  ];
  for (const stamp of wrong) {
    assertEquals(read(`${stamp} ${DEFER}`).time, undefined, stamp);
  }
});

Deno.test("years that syslog leaves out", async (t) => {
  const times = (written: number, stamps: string[]) => {
    const reader = new LogReader(written);
    return stamps.map((stamp) =>
      reader.read(`${stamp} mx greylist: ${DEFER}`).time
    );
  };
  await t.step("December in a file of January", () => {
    const written = local(2026, 1, 2, 8, 0, 0);
    assertEquals(
      times(written, ["Dec 31 23:59:59", "Jan  1 00:00:01", "Jan  2 07:00:00"]),
      [
        local(2025, 12, 31, 23, 59, 59),
        local(2026, 1, 1, 0, 0, 1),
        local(2026, 1, 2, 7, 0, 0),
      ],
    );
  });
  await t.step("a line that came late", () => {
    const written = local(2026, 1, 2, 8, 0, 0);
    assertEquals(
      times(written, ["Jan  1 00:00:01", "Dec 31 23:59:59", "Jan  1 00:00:02"]),
      [
        local(2026, 1, 1, 0, 0, 1),
        local(2025, 12, 31, 23, 59, 59),
        local(2026, 1, 1, 0, 0, 2),
      ],
    );
  });
  await t.step("a clock that went back an hour", () => {
    const written = local(2026, 3, 2, 8, 0, 0);
    assertEquals(
      times(written, ["Mar  1 10:00:00", "Mar  1 09:00:00"]),
      [local(2026, 3, 1, 10, 0, 0), local(2026, 3, 1, 9, 0, 0)],
    );
  });
  await t.step("a log with a gap of more than half a year", () => {
    const written = local(2026, 9, 1, 10, 0, 0);
    assertEquals(
      times(written, ["Jan  5 10:00:00", "Sep  1 09:00:00"]),
      [local(2026, 1, 5, 10, 0, 0), local(2026, 9, 1, 9, 0, 0)],
    );
  });
  await t.step("a line of last December in a log of a whole year", () => {
    const written = local(2026, 12, 30, 8, 0, 0);
    assertEquals(
      times(written, ["Jan  1 00:00:01", "Dec 31 23:59:59", "Mar  1 00:00:00"]),
      [
        local(2026, 1, 1, 0, 0, 1),
        local(2025, 12, 31, 23, 59, 59),
        local(2026, 3, 1, 0, 0, 0),
      ],
    );
  });
  await t.step("a last line a little after the file's mtime", () => {
    const written = local(2026, 3, 2, 8, 0, 0);
    assertEquals(times(written, ["Mar  2 08:00:01"]), [
      local(2026, 3, 2, 8, 0, 1),
    ]);
  });
});

Deno.test("the hour that comes twice when clocks go back", async () => {
  const code = `
    import { LogReader } from "./lib/report/logline.ts";
    const stamps = ["01:59:59", "02:58:00", "02:57:30", "02:04:00", "02:03:50",
      "02:59:00", "03:00:00"];
    for (const form of ["Oct 25 # mx greylist:", "2026-10-25 #.5"]) {
      const reader = new LogReader(Date.parse("2026-10-25T12:00:00Z") / 1000);
      for (const stamp of stamps) {
        const { time } = reader.read(form.replace("#", stamp) + " ${DEFER}");
        console.log(new Date(time * 1000).toISOString().slice(11, 19));
      }
    }`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", code],
    env: { TZ: "Europe/Berlin", NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const times = [
    "23:59:59",
    "00:58:00",
    // This line came late.
    "00:57:30",
    "01:04:00",
    "01:03:50",
    "01:59:00",
    "02:00:00",
  ];
  assertEquals(new TextDecoder().decode(stdout).trim().split("\n"), [
    ...times,
    ...times,
  ]);
});

Deno.test("equal lines that rsyslog writes as one", () => {
  const tag = "Nov 23 19:00:00 mx greylist[7]: message repeated 99 times: [ ";
  const line = read(`${tag}${DEFER}]`);
  assertEquals([line.kind, line.verb, line.times], ["entry", "defer", 99]);
  assertEquals(line.fields, DEFER.slice("defer".length));
  const error = read(`${tag}error store what="x y"]`);
  assertEquals([error.level, error.what, error.times], ["ERROR", "x y", 99]);
  assertEquals(read(`${tag}something else]`).kind, "unreadable");
  assertEquals(read(`${tag}${DEFER}`).kind, "unreadable");
});

Deno.test("equal lines that other syslog daemons count in a line of their own", () => {
  const reader = new LogReader(WRITTEN);
  const stamp = (second: number) => `Nov 23 19:00:0${second}`;
  const again = (second: number, host = "mx") =>
    reader.read(`${stamp(second)} ${host} last message repeated 3 times`);
  assertEquals(again(0).kind, "unreadable", "nothing is before it");
  reader.read(`${stamp(1)} mx greylist[7]: ${DEFER}`);
  for (const second of [2, 3]) {
    const line = again(second);
    assertEquals([line.kind, line.verb, line.times], ["entry", "defer", 3]);
    assertEquals(line.fields, DEFER.slice("defer".length));
    assertEquals(line.time, local(2026, 11, 23, 19, 0, second));
  }
  assertEquals(again(4, "other").kind, "unreadable");
  reader.read(`${stamp(5)} mx cron[1]: x`);
  assertEquals(again(6).kind, "foreign");
});
