import { assertEquals } from "@std/assert";
import { formatAddress } from "../../lib/address.ts";
import { DeliveryReader } from "../../lib/report/delivery.ts";

/** When a log was written that has no years: 2026-11-24, local time. */
const WRITTEN = new Date(2026, 10, 24).getTime() / 1000;

const SUCCESS = "delivery 3: success: 203.0.113.9_accepted_message.";
const SAID = "/Remote_host_said:_250_2.0.0_Ok:_queued_as_4F2B/";

/** The time and the host that each line of a log gives. */
function read(...lines: string[]) {
  const reader = new DeliveryReader(WRITTEN);
  return lines.map((line) => {
    const { time, host } = reader.read(line);
    return [time, host && formatAddress(host)];
  });
}

/** The host alone, of one line. */
function hostIn(line: string) {
  return read(line)[0][1];
}

Deno.test("delivery: every frame gives the time and the host", () => {
  const here = new Date(2026, 10, 23, 19, 0, 0).getTime() / 1000;
  const whole = Date.parse("2026-11-23T19:00:00Z") / 1000;
  const frames: [string, number | undefined][] = [
    ["", undefined],
    // 2^62 + 10 + 1795460400 (daemontools' tai64n).
    ["@400000006b048d3a00000000 ", whole],
    ["2026-11-23 19:00:00.000000000 ", here],
    ["Nov 23 19:00:00 mx qmail: ", here],
    ["Nov 23 19:00:00 mx qmail-send[812]: ", here],
    ["2026-11-23T19:00:00.000000+00:00 mx qmail[812]: ", whole],
    // What splogger and accustamp add is exact, and has the year.
    ["Nov 23 19:00:00 mx qmail: 1795460400.250000 ", 1795460400.25],
    ["1795460400.250000 ", 1795460400.25],
    ["<22>Nov 23 19:00:00 qmail: 1795460400.250000 ", 1795460400.25],
  ];
  for (const [frame, time] of frames) {
    assertEquals(read(frame + SUCCESS + SAID), [[time, "203.0.113.9"]], frame);
  }
});

Deno.test("delivery: what qmail-remote and its patches report", () => {
  const reports: Record<string, string | undefined> = {
    "203.0.113.9_accepted_message./Remote_host_said:_250_ok/": "203.0.113.9",
    "203.0.113.9_accepted_message./": "203.0.113.9",
    "203.0.113.9_TLS_transmitted_message_accepted./": "203.0.113.9",
    "(b@example.org)_203.0.113.9_accepted_message./": "203.0.113.9",
    "2001:db8::25_accepted_message./": "2001:db8::25",
    "[2001:db8::25]_accepted_message./": "2001:db8::25",
    "::ffff:203.0.113.9_accepted_message./": "203.0.113.9",
    "mx.example.org_accepted_message./": undefined,
    "203.0.113.999_accepted_message./": undefined,
    "_accepted_message./": undefined,
    "did_1+0+0/": undefined,
    "did_0+1+0/qp_812/": undefined,
    "mail/203.0.113.9_accepted_message./": undefined,
    // What the other host says comes after what qmail-remote says.
    "mx_accepted./Remote_host_said:_203.0.113.9_accepted_message./": undefined,
  };
  for (const [report, host] of Object.entries(reports)) {
    assertEquals(hostIn(`delivery 3: success: ${report}`), host, report);
  }
});

Deno.test("delivery: what is no success is none", () => {
  for (
    const line of [
      "",
      "status: local 0/10 remote 1/20",
      "new msg 4711",
      "info msg 4711: bytes 812 from <a@example.org> qp 4712 uid 1000",
      "starting delivery 3: msg 4711 to remote b@example.org",
      "end msg 4711",
      `delivery 3: deferral: 203.0.113.9_accepted_message./`,
      "delivery 3: failure: 203.0.113.9_does_not_like_recipient./",
      "delivery 3: success:",
      "delivery x: success: 203.0.113.9_accepted_message./",
      `starting ${SUCCESS}`,
    ]
  ) {
    assertEquals(hostIn(line), undefined, line);
    assertEquals(hostIn(`Nov 23 19:00:00 mx qmail: ${line}`), undefined, line);
  }
});

Deno.test("delivery: what clients say in other programs' lines is none", () => {
  for (
    const frame of [
      "Nov 23 19:00:00 mx smtpd[1]: HELO ",
      "Nov 23 19:00:00 mx smtpd[1]: bad command: ",
      "defer ip=192.0.2.1 helo=x ",
    ]
  ) assertEquals(hostIn(frame + SUCCESS + SAID), undefined, frame);
});

Deno.test("delivery: a local one is none, whatever its program writes", () => {
  const local = "starting delivery 3: msg 4711 to local bob@example.org";
  const remote = "starting delivery 3: msg 4712 to remote b@example.net";
  const hosts = (...lines: string[]) => read(...lines).map(([, host]) => host);
  const none = undefined;
  assertEquals(hosts(local, SUCCESS), [none, none]);
  // The number is free again after that.
  assertEquals(hosts(local, SUCCESS, remote, SUCCESS), [
    none,
    none,
    none,
    "203.0.113.9",
  ]);
  // A restart of qmail-send begins to count anew.
  assertEquals(hosts(local, remote, SUCCESS), [none, none, "203.0.113.9"]);
  assertEquals(hosts(local, SUCCESS.replace("3", "4")), [none, "203.0.113.9"]);
});
