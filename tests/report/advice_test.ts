import { assert, assertEquals } from "@std/assert";
import { advise } from "../../lib/report/advice.ts";
import { parseRule } from "../../lib/whitelist/file.ts";
import { textReport } from "../../lib/report/text.ts";
import { Log } from "../harness/report_log.ts";

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
    helo: "out.cloud.example",
  };
  const [{ why }] = advise([pool], [], () => false);
  assertEquals(
    why,
    "the same mail came from another network 12,345 times, from 1,000+ " +
      "networks in all",
  );
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
