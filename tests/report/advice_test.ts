import { assert, assertEquals } from "@std/assert";
import { advise } from "../../lib/report/advice.ts";
import { htmlReport } from "../../lib/report/html.ts";
import { parseRule } from "../../lib/whitelist/file.ts";
import { textReport } from "../../lib/report/text.ts";
import { DAY, Log } from "../harness/report_log.ts";

const MAIL = "from=<a@tenant.example> to=<b@c.example>";

/** A sender that comes from so many networks before it is let in. */
function move(log: Log, domain: string, networks: number, accepted = true) {
  for (let i = 0; i < networks; i++) {
    const net = `192.0.${i}.0/24`;
    log.after(60).write(
      `defer ip=192.0.${i}.1 net=${net} reason=new wait=60 ` +
        `helo=out${i}.${domain} ${MAIL}`,
    );
  }
  if (accepted) log.after(600).pass("retried", "192.0.0.0/24", " age=600");
}

Deno.test("a pool: the same mail from another network three times", () => {
  const log = new Log();
  move(log, "cloud.example", 4);
  assertEquals(log.tally.report().advice, [{
    kind: "pool",
    subject: "cloud.example",
    why: "the same mail came from another network 3 times, from 4 networks " +
      "in all",
    paste: '{ name: "cloud.example", hosts: [".cloud.example"] },',
  }]);
});

Deno.test("a pool: no wider than the names that the sender said", () => {
  const log = new Log();
  move(log, "mindef.gouv.fr", 4);
  log.write(
    "defer ip=203.0.113.1 net=203.0.113.0/24 reason=new wait=60 " +
      "helo=mx.interieur.gouv.fr from=<a@b.example> to=<c@d.example>",
  );
  log.after(5000).pass("retried", "203.0.113.0/24", " age=5000");
  const [pool, network] = log.tally.report().advice;
  assertEquals(
    pool.paste,
    '{ name: "mindef.gouv.fr", hosts: [".mindef.gouv.fr"] },',
  );
  assertEquals(network.subject, "203.0.113.0/24", "the pool has not this one");
  const text = textReport(log.tally.report()).join(" ").replace(/ +/g, " ");
  assert(text.includes("pool is guessed from HELO: make sure that"), text);
});

Deno.test("no pool: the same mail through the networks of others", () => {
  const log = new Log();
  for (let i = 0; i < 9; i++) {
    log.defer("new", `192.0.${i}.0/24`, `helo=mx.d${i}.example ${MAIL}`);
    log.defer("new", "203.0.113.0/24", `helo=mx.cloud.example ${MAIL}`);
  }
  log.after(60).pass("retried", "203.0.113.0/24", " age=60");
  assertEquals(log.tally.report().advice, []);
});

Deno.test("a pool: large numbers are written as in the rest of the report", () => {
  const pool = {
    domain: "cloud.example",
    hosts: ".cloud.example",
    moves: 12345,
    networks: 1000,
    accepted: 1,
    tried: 0,
    helo: "out.cloud.example",
  };
  const [{ why }] = advise([pool], [], () => false);
  assertEquals(
    why,
    "the same mail came from another network 12,345 times, from 1,000+ " +
      "networks in all",
  );
});

Deno.test("no pool: the name in HELO is not below the domain, or no pool's", () => {
  const propose = (helo: string, domain: string) =>
    advise(
      [{
        domain,
        hosts: `.${domain}`,
        moves: 5,
        networks: 5,
        accepted: 1,
        tried: 0,
        helo,
      }],
      [],
      () => false,
    ).map(({ subject }) => subject);
  assertEquals(propose("Out.Cloud.example.", "cloud.example"), [
    "cloud.example",
  ]);
  assertEquals(propose("localhost", "cloud.example"), []);
  // The configuration would refuse the line to paste.
  assertEquals(propose("out.my_cloud.example", "my_cloud.example"), []);
});

Deno.test("no pool: too few moves, never let in, or no domain in HELO", () => {
  const few = new Log();
  move(few, "cloud.example", 3);
  const never = new Log();
  move(never, "cloud.example", 9, false);
  const literal = new Log();
  for (let i = 0; i < 9; i++) {
    literal.defer("new", `192.0.${i}.0/24`, `helo=[192.0.${i}.1] ${MAIL}`);
  }
  literal.after(60).pass("retried", "192.0.0.0/24", " age=60");
  for (const log of [few, never, literal]) {
    assertEquals(log.tally.report().advice, []);
  }
});

/** A sender that tries the same mail from so many networks, and never gets in. */
function knock(log: Log, networks: number, pause: number, helo = HELO) {
  for (let i = 0; i < networks; i++) {
    if (i > 0) log.after(pause);
    log.write(
      `defer ip=198.51.${i}.1 net=198.51.${i}.0/24 reason=new wait=60 ` +
        `helo=mx${i}.${helo} ${MAIL}`,
    );
  }
}

const HELO = "out.office.example";

Deno.test("to be looked at: mail that moved for an hour and was never let in", () => {
  const log = new Log();
  knock(log, 24, 3600);
  const report = log.tally.report();
  assertEquals(report.advice, [{
    kind: "look",
    subject: HELO,
    why: "the same mail came from another network 23 times, from 24 networks " +
      "in all, one mail over 23 h; one of the addresses is 198.51.1.1",
    paste: "",
  }]);
  const text = textReport(report).join(" ").replace(/ +/g, " ");
  const html = htmlReport(report, log.now).replace(/<[^>]*>|\s/g, " ")
    .replace(/ +/g, " ");
  for (const page of [text, html]) {
    for (
      const words of [
        "Never let in, perhaps real mail",
        "none of these networks was let in: they count as stopped or open",
        "it has not arrived so far",
        "its author gets a bounce; Exchange Online gives up after a day",
        "over 23 h; one of the addresses is 198.51.1.1",
      ]
    ) {
      assert(page.includes(words), `${words}: ${page}`);
    }
    assert(!page.includes("before you paste"), "there is nothing to paste");
    assert(!page.includes("hosts: ["), page);
  }
  const isOurs = ({ helo = "" }) => helo.endsWith(HELO);
  assertEquals(log.tally.report(isOurs).advice, [], "a pool already");
  // One network that was let in makes it a pool.
  log.pass("retried", "198.51.9.0/24", " age=60");
  assertEquals(log.tally.report().advice.map(({ kind }) => kind), ["pool"]);
});

Deno.test("not to be looked at: spam that moves", () => {
  const cases: [string, (log: Log) => void][] = [
    ["too few networks", (log) => knock(log, 3, 7200)],
    ["less than an hour", (log) => knock(log, 4, 1199)],
    ["new mail each day", (log) => knock(log, 9, DAY / 2 + 1)],
    ["no common domain", (log) => {
      for (let i = 0; i < 9; i++) {
        log.after(3600).defer("new", `n${i}`, `helo=a.b${i}.example ${MAIL}`);
      }
    }],
    ["other mail each time", (log) => {
      for (let i = 0; i < 9; i++) {
        log.after(3600).defer(
          "new",
          `n${i}`,
          `helo=mx${i}.${HELO} from=<x${i}@b.example> to=<b@c.example>`,
        );
      }
    }],
  ];
  for (const [name, write] of cases) {
    const log = new Log();
    write(log);
    assertEquals(log.tally.report().advice, [], name);
  }
});

Deno.test("to be looked at: three senders at most, in front of the others", () => {
  const log = new Log();
  move(log, "cloud.example", 4);
  for (let i = 0; i < 5; i++) knock(log, 4 + i, 1200, `d${i}.example`);
  const { advice } = log.tally.report();
  assertEquals(advice.map(({ subject }) => subject), [
    "d4.example",
    "d3.example",
    "d2.example",
    "cloud.example",
  ]);
  const text = textReport(log.tally.report()).join("\n");
  assert(text.includes("before you paste"), text);
});

Deno.test("a whitelist line: a network that waited for an hour", () => {
  const log = new Log();
  const wait = (net: string, seconds: number, helo: string) => {
    const [ip] = net.split("/");
    log.write(
      `defer ip=${ip} net=${net} reason=new wait=60 helo=${helo} ${MAIL}`,
    );
    log.after(seconds).pass("retried", net, ` age=${seconds}`);
  };
  wait("192.0.2.0/24", 3600, "MX.sender.example");
  wait("198.51.100.0/24", 3599, "mx.quick.example");
  wait("2001:db8::/64", 7200, "x'\u202e#");
  // A pool is one client already.
  wait("@google", 9000, "mail.google.example");
  const { advice } = log.tally.report();
  assertEquals(advice.map(({ why, paste }) => [why, paste]), [
    ["mail waited 2 h", "2001:db8::/64  # x'?#, waited 2 h"],
    ["mail waited 1 h", "192.0.2.0/24  # mx.sender.example, waited 1 h"],
  ]);
  // The whitelist reads the line as it is.
  for (const { paste } of advice) {
    const rule = parseRule(paste.split("#", 1)[0].trim());
    assert("network" in rule, paste);
  }
  const text = textReport(log.tally.report()).join("\n");
  assert(text.includes("What you can do"), text);
  assert(
    text.includes("\n    192.0.2.0/24  # mx.sender.example, waited 1 h\n"),
    text,
  );
});

Deno.test("a sender that is covered already is left out", () => {
  const log = new Log();
  move(log, "cloud.example", 4);
  log.write(
    "defer ip=203.0.113.1 net=203.0.113.0/24 reason=new wait=60 " +
      `helo=mx.b.example ${MAIL}`,
  );
  log.after(5000).pass("retried", "203.0.113.0/24", " age=5000");
  const kinds = (
    covered?: (client: { ip?: string; helo?: string }) => boolean,
  ) => log.tally.report(covered).advice.map(({ kind }) => kind);
  assertEquals(kinds(), ["pool", "whitelist"]);
  assertEquals(kinds(({ ip }) => ip === "203.0.113.1"), ["pool"]);
  const byName = ({ helo = "" }) => helo.endsWith(".cloud.example");
  assertEquals(kinds(byName), ["whitelist"]);
});

Deno.test("a member of a proposed pool needs no line of its own", () => {
  const log = new Log();
  move(log, "cloud.example", 4);
  log.after(4000).pass("retried", "192.0.3.0/24", " age=4000");
  assertEquals(log.tally.report().advice.map(({ kind }) => kind), ["pool"]);
});
