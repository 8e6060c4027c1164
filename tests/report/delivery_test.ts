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

/** What comes before {@linkcode SUCCESS}. */
const START = "starting delivery 3: msg 4711 to remote b@example.net";

/** The host alone, of one line that is behind the start of a remote delivery. */
function hostIn(line: string) {
  return read(START, line)[1][1];
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
    assertEquals(read(frame + START, frame + SUCCESS + SAID), [
      [time, undefined],
      [time, "203.0.113.9"],
    ], frame);
  }
});

Deno.test("delivery: what qmail-remote and its patches report", () => {
  const reports: Record<string, string | undefined> = {
    "203.0.113.9_accepted_message./Remote_host_said:_250_ok/": "203.0.113.9",
    "203.0.113.9_accepted_message./": "203.0.113.9",
    "203.0.113.9_TLS_transmitted_message_accepted./": "203.0.113.9",
    "2001:db8::25_accepted_message./": "2001:db8::25",
    "[2001:db8::25]_accepted_message./": "2001:db8::25",
    "::ffff:203.0.113.9_accepted_message./": "203.0.113.9",
    "mx.example.org_accepted_message./": undefined,
    "203.0.113.999_accepted_message./": undefined,
    "_accepted_message./": undefined,
    "203.0.113.9_accepted_message_-_Protocol_SMTP./": "203.0.113.9",
    "203.0.113.9_accepted_message_for_you./": undefined,
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

/** What the qmail-remote of a patch writes in front of the address. */
const FRAMES: ((recipient: string, sender: string) => string)[] = [
  // It writes the recipient alone.
  (recipient) => `(${recipient})_`,
  // Sagredo's.
  (recipient, sender) => `<From:${sender}_To:${recipient}>_`,
  // IndiMail's.
  (recipient, sender) => `From:_<${sender}>_RCPT:_<${recipient}>_`,
  // QMailToaster's.
  (recipient) =>
    "User_and_password_not_set,_continuing_without_authentication./" +
    `<${recipient}>_`,
  (recipient) =>
    "No_supported_AUTH_method_found,_continuing_without_authentication./" +
    `<${recipient}>_`,
  // Of those, with a user and a password.
  (recipient) => `<${recipient}>_`,
];

/** What a remote delivery to this recipient gives with this report. */
function delivered(recipient: string, report: string) {
  const [, [, host]] = read(
    `starting delivery 3: msg 4711 to remote ${recipient}`,
    `delivery 3: success: ${report}`,
  );
  return host;
}

Deno.test("delivery: what patches write in front of the address", () => {
  const end = `203.0.113.9_accepted_message.${SAID}`;
  // As the log of the start has a recipient, and as the report has it.
  const recipients = [
    ["b@example.org", "b@example.org"],
    ["a..b@example.org", '"a..b"@example.org'],
    ["b_c/d@example.org", "b?c?d@example.org"],
    ["b_c@example.org", '"b?c"@example.org'],
    ["b>_c@example.org", "b>_c@example.org"],
  ];
  for (const frame of FRAMES) {
    for (const sender of ["a@example.net", "", "#@[]", "a_To:b@example.net"]) {
      for (const [to, written] of recipients) {
        const report = frame(written, sender) + end;
        assertEquals(delivered(to, report), "203.0.113.9", report);
        // The report of another recipient is none, nor one without a beginning.
        assertEquals(delivered(`x${to}`, report), undefined, report);
        assertEquals(delivered(to.slice(1), report), undefined, report);
        assertEquals(
          delivered(to.replace("b", "x"), report),
          undefined,
          report,
        );
        assertEquals(
          hostIn(`delivery 3: success: ${report}`),
          undefined,
          report,
        );
      }
    }
  }
  const tls = "203.0.113.9_accepted_message_-_Protocol_SMTPS.";
  assertEquals(delivered("b@c", `From:_<a>_RCPT:_<b@c>_${tls}`), "203.0.113.9");
  assertEquals(delivered("b@c", `(b@c)_${end}`), "203.0.113.9");
  assertEquals(delivered("b@c", `x(b@c)_${end}`), undefined);
});

Deno.test("delivery: no recipient and no sender makes a host known", () => {
  const words = "192.0.2.66_accepted_message.";
  const tls = "192.0.2.66_TLS_transmitted_message_accepted.";
  const to = "@evil.example";
  for (const frame of FRAMES) {
    for (const forged of [words, tls]) {
      for (
        const recipient of [
          `x)_${forged}${to}`,
          `x>_${forged}${to}`,
          `x_To:x>_${forged}${to}`,
          `${frame("x", "x")}${forged}${to}`,
          `${forged}${to}`,
        ]
      ) {
        for (const sender of ["a@example.net", recipient]) {
          const report = frame(recipient, sender) +
            `203.0.113.9_accepted_message.${SAID}`;
          assertEquals(delivered(recipient, report), undefined, report);
          assertEquals(hostIn(`delivery 3: success: ${report}`), undefined);
        }
      }
    }
  }
  // The sender writes the rest of the frame, and the right recipient in it.
  const [, sagredo, indimail] = FRAMES;
  for (
    const frame of [
      sagredo("b@c", `x_To:b@c>_${words}`),
      indimail("b@c", `x>_RCPT:_<b@c>_${words}`),
    ]
  ) {
    const report = `${frame}203.0.113.9_accepted_message.${SAID}`;
    assertEquals(delivered("b@c", report), undefined, report);
  }
});

Deno.test("delivery: a report that splogger has cut is none", () => {
  const forged = "<From:x_To:b@c>_192.0.2.66_accepted_message./";
  const line = "delivery 3: success: ";
  const cut = (line + forged).padEnd(799, "x").slice(line.length);
  assertEquals(delivered("b@c", cut), undefined);
  assertEquals(delivered("b@c", cut.slice(0, 700)), "192.0.2.66");
});

Deno.test("delivery: a remote success without a host is unread", () => {
  const unread = (...lines: string[]) => {
    const reader = new DeliveryReader(WRITTEN);
    return lines.map((line) => reader.read(line).isUnread);
  };
  const remote = START;
  const local = "starting delivery 3: msg 4711 to local b";
  const other = "delivery 3: success: taken_by_203.0.113.9./";
  assertEquals(unread(remote, other, other), [false, true, false]);
  assertEquals(unread(local, other), [false, false]);
  assertEquals(unread(local, SUCCESS), [false, false]);
  assertEquals(unread(remote, SUCCESS), [false, false]);
  // It may be a local one, whose program wrote these words.
  assertEquals(unread(SUCCESS, other), [true, false]);
  assertEquals(unread(remote, "delivery 3: deferral: x"), [false, false]);
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
  // What nobody saw starting may be a local one.
  assertEquals(hosts(SUCCESS), [none]);
  assertEquals(hosts(remote, SUCCESS.replace("3", "4")), [none, none]);
});

Deno.test("delivery: each queue of IndiMail has numbers of its own", () => {
  const hosts = (...lines: string[]) => read(...lines).map(([, host]) => host);
  const local = "starting delivery 3: msg 4711 to local bob@example.org queue1";
  const remote = "starting delivery 3: msg 4712 to remote b@c queue2";
  const report = "delivery 3: success: From:_<a>_RCPT:_<b@c>_203.0.113.9" +
    "_accepted_message_-_Protocol_SMTP.";
  const none = undefined;
  assertEquals(
    hosts(local, remote, `${SUCCESS} queue1`, `${report} queue2`),
    [none, none, none, "203.0.113.9"],
  );
  assertEquals(hosts(remote, `${report} queue1`), [none, none]);
  // With QIDENT.
  const named = (line: string) => line.replace(/delivery 3/, "delivery 3.mx1");
  assertEquals(
    hosts(named(local), named(`${SUCCESS} queue1`)),
    [none, none],
  );
  assertEquals(
    hosts(named(remote), named(`${report} queue2`)),
    [none, "203.0.113.9"],
  );
});

Deno.test("delivery: of very many, the latest are remembered", () => {
  const reader = new DeliveryReader(WRITTEN);
  for (let i = 1; i <= 20_000; i++) {
    reader.read(`starting delivery ${i}: msg 4711 to remote b@c`);
  }
  const host = (number: number) => {
    const { host } = reader.read(SUCCESS.replace("3", `${number}`));
    return host && formatAddress(host);
  };
  assertEquals(host(20_000), "203.0.113.9");
  assertEquals(host(10_001), "203.0.113.9");
  assertEquals(host(10_000), undefined);
});
