import { assert, assertEquals, assertMatch } from "@std/assert";
import { delayBars, periods } from "../../lib/report/bars.ts";
import { caveats, remarks, summary } from "../../lib/report/story.ts";
import { textReport } from "../../lib/report/text.ts";
import { DAY, Log, WINDOW } from "../harness/report_log.ts";

Deno.test("an empty log", () => {
  const report = new Log().tally.report();
  assertEquals(report.connections, 0);
  assertEquals([report.from, report.to], [null, null]);
  assertEquals(report.delay.median, null);
  assert(textReport(report).length > 0);
});

Deno.test("connections by verdict and reason", () => {
  const report = new Log()
    .defer("new", "a").defer("early", "a").defer("early", "a")
    .pass("retried", "a", " age=90 accepted=1").pass("known", "a")
    .write("pass ip=x reason=whitelisted rule=env:RELAYCLIENT")
    .tally.report();
  assertEquals(report.connections, 6);
  assertEquals([report.deferred, report.passed], [3, 3]);
  assertEquals(report.deferredByReason, { early: 2, new: 1 });
  assertEquals(report.passedByReason, { retried: 1, known: 1, whitelisted: 1 });
  assertEquals(report.whitelistedByRule, [
    { rule: "env:RELAYCLIENT", count: 1 },
  ]);
});

Deno.test("errors and warnings", () => {
  const report = new Log()
    .write('error pass ip=x net=a reason=error what="disk full"')
    .write('error defer ip=x net=a reason=error what="disk full"')
    .pass("known", "a")
    .write('error defer reason=error client=x what="qmail-smtpd: not found"')
    .write('error defer reason=error what="TCPREMOTEIP: not set"')
    .write('warn what="x"').tally.report();
  assertEquals([report.errors, report.warnings], [4, 1]);
  assertEquals(report.connections, 4, "the one without a program counts once");
  assertEquals(report.deferredByReason, { error: 2 });
  assertEquals(report.networks.deferred, 0);
});

Deno.test("a deferral that is logged after its network was let in", () => {
  const retried = (log: Log) => log.pass("retried", "a", " age=61 accepted=1");
  const logs = {
    "with no other line": retried(new Log()).after(30).defer("new", "a"),
    "after another deferral": retried(new Log().defer("early", "a").after(61))
      .after(30).defer("new", "a"),
    "of a client that was early": retried(new Log().defer("new", "a").after(61))
      .after(30).defer("early", "a"),
  };
  for (const [name, log] of Object.entries(logs)) {
    const report = log.after(WINDOW + DAY).pass("known", "a").tally.report();
    const { deferred, accepted, stopped, open } = report.networks;
    assertEquals([deferred, accepted, stopped, open], [1, 1, 0, 0], name);
    assertEquals([report.delay.count, report.delay.median], [1, 61], name);
    assertEquals(report.mostDeferred.map(({ longest }) => longest ?? 0), [
      report.deferred === 1 ? 0 : 61,
    ], name);
  }
  // It has waited before, but nothing of that is in the log.
  const before = retried(new Log()).tally.report();
  assertEquals([before.networks.deferred, before.networks.accepted], [0, 0]);
  // The entry was removed meanwhile.
  const again = retried(new Log()).after(2 * DAY).defer("new", "a").after(90)
    .pass("retried", "a", " age=90").tally.report();
  assertEquals(again.networks.deferred, 1);
  assertEquals(again.mostDeferred[0].longest, 90);
});

Deno.test("clients that serve turned away", () => {
  const report = new Log().pass("known", "a")
    .write("busy ip=x net=b reason=limit").write("busy ip=x net=c reason=limit")
    .write("busy ip=x net=c reason=limitPerNetwork")
    .write("busy ip=x net=c reason=start")
    .write("busy ip=x net=c reason=stopping")
    .write("deny ip=x rule=rules[1]").tally.report();
  assertEquals([report.connections, report.turnedAway], [7, 6]);
  assertEquals(report.turnedAwayByReason, {
    limit: 2,
    limitPerNetwork: 1,
    start: 1,
    stopping: 1,
    "rules[1]": 1,
  });
  for (
    const why of [
      "2 connections of 7 got a 421 because all programs that `limit` allows " +
      "were in use.",
      "1 connection of 7 got a 421 because PROGRAM did not start in time, " +
      "although `limit` allowed more.",
    ]
  ) assert(caveats(report).includes(why), caveats(report).join());
  const text = textReport(report).join("\n");
  assertMatch(text, /^ {2}turned away +6 +85\.7 %\n {4}limit +2 +28\.6 %$/m);
});

Deno.test("an error about many entries is one trouble", () => {
  const log = new Log();
  const names = ["10.0.0.0_24", "2001:db8::_64", "192.0.2.1", "@big.example"];
  for (const name of names) {
    const what = `/var/qmail/greylist/${name}: create: No space left on device`;
    log.write(`error pass ip=x net=a reason=error what="${what}"`);
  }
  log.write('error log what="/var/log/greylist: open: No such file"');
  assertEquals(log.tally.report().troubles, [
    {
      level: "ERROR",
      what: "/var/qmail/greylist/...: create: No space left on device",
      count: 4,
    },
    { level: "ERROR", what: "/var/log/greylist: open: No such file", count: 1 },
  ]);
  // One without an explanation is called after its verb.
  const { troubles } = new Log().write("warn helper pid=7").tally.report();
  assertEquals(troubles, [{ level: "WARN", what: "helper", count: 1 }]);
});

Deno.test("troubles beyond those that are kept apart have their level", () => {
  const log = new Log();
  for (let i = 0; i < 10_001; i++) log.write(`warn x what="${i}"`);
  log.write('warn x what="later"');
  assertEquals(log.tally.report().troubles[0], {
    level: "WARN",
    what: "other",
    count: 2,
  });
});

Deno.test("lines that serve could not write", () => {
  const lost = (count: number) =>
    `warn log lost=${count} what="lines were lost"`;
  const report = new Log().pass("known", "a").write(lost(12)).write(lost(1234))
    .tally.report();
  assertEquals([report.connections, report.lines.lost], [1, 1246]);
  const remark =
    "1,246 lines of serve were lost because the log did not take " +
    "them: the figures lack them.";
  assert(remarks(report).includes(remark), remarks(report).join());
  const none = new Log().pass("known", "a").tally.report();
  assertEquals(remarks(none), []);
});

Deno.test("a line that stands for several counts as often", () => {
  const report = new Log().line(
    "Nov  2 12:00:00 mx greylist[7]: message repeated 3 times: " +
      "[ pass ip=x net=a reason=known]",
  ).tally.report();
  assertEquals([report.lines.read, report.lines.entries], [1, 3]);
  assertEquals([report.connections, report.passed], [3, 3]);
});

Deno.test("a client that is exempt ends no wait of its network", () => {
  for (const reason of ["whitelisted", "unsuspected"]) {
    const log = new Log().defer("new", "192.0.2.0/24").after(4 * 3600)
      .pass(reason, "192.0.2.0/24", " rule=env:RELAYCLIENT").after(WINDOW);
    const stopped = log.pass("known", "b").tally.report();
    assertEquals(stopped.networks.stopped, 1, reason);
    assertEquals(stopped.networks.accepted, 0, reason);
    assertEquals(stopped.advice, [], reason);
    // The delay of a client that waited runs from its first deferral.
    const retried = log.pass("retried", "192.0.2.0/24", " age=1").tally
      .report();
    assertEquals(retried.networks.accepted, 1, reason);
    assertEquals(retried.delay.worst, 4 * 3600 + WINDOW, reason);
  }
});

Deno.test("a known client ends the wait of its network, without a delay", () => {
  const net = "192.0.2.0/24";
  // Such as one that `learn` has made known.
  const { networks, mostTries, advice, delay } = new Log().defer("new", net)
    .after(60).defer("early", net).after(60).defer("early", net)
    .after(4 * 3600).pass("known", net).after(WINDOW).pass("known", "b")
    .tally.report();
  assertEquals([networks.accepted, networks.stopped], [1, 0]);
  assertEquals([delay.count, advice], [0, []]);
  assertEquals(
    mostTries.map(({ tries, delay, longest }) => [
      tries,
      delay,
      longest,
    ]),
    [[3, undefined, undefined]],
  );
});

Deno.test("a client that an error let in was let in, without a delay", () => {
  const log = new Log().defer("new", "192.0.2.0/24").after(4 * 3600)
    .pass("error", "192.0.2.0/24").after(WINDOW).pass("known", "b");
  const { networks, delay, advice } = log.tally.report();
  assertEquals([networks.accepted, networks.stopped], [1, 0]);
  assertEquals([delay.count, advice], [0, []]);

  const observed = new Log().observe("new", "a").after(60).pass("error", "a")
    .after(60).pass("retried", "a", " age=120").tally.report();
  assertEquals(observed.delay.count, 0, "nobody waited");
});

Deno.test("what an error deferred is no new network", () => {
  const log = new Log()
    .write('error store hang=begins clients=1 what="/x does not answer"')
    .write('defer ip=x net=a reason=error what="/x does not answer"')
    .write('defer ip=x net=b reason=error what="/x does not answer"')
    .write('would-defer ip=x net=c reason=error what="/x does not answer"')
    .write('pass ip=x net=d reason=error what="/x does not answer"')
    .after(WINDOW).pass("known", "a");
  const report = log.tally.report();
  assertEquals(report.networks.deferred, 0);
  assertEquals(report.mostDeferred, []);
  assertEquals(report.errors, 1);
  assertEquals([report.connections, report.deferred], [5, 2]);
  assertEquals(report.deferredByReason, { error: 2 });
  assertEquals(report.wouldDeferByReason, { error: 1 });
  assertEquals(report.passedByReason, { error: 1, known: 1 });
  assertEquals(report.byDay[0], {
    day: "2026-11-02",
    stopped: 0,
    delayed: 0,
    open: 3,
    atOnce: 1,
  });
  assertEquals(summary(report), "No new network was deferred.");

  // An error does not take a network that waits out of the count either.
  const { networks } = new Log().defer("new", "a").after(60)
    .write('defer ip=x net=a reason=error what="x"').after(WINDOW)
    .pass("known", "b").tally.report();
  assertEquals([networks.stopped, networks.once], [1, 1]);
});

Deno.test("lines by kind", () => {
  const log = new Log().pass("known", "a").line("tcpserver: end 1").line("x");
  log.tally.addUnreadable();
  assertEquals(log.tally.report().lines, {
    read: 4,
    entries: 1,
    outside: 0,
    foreign: 1,
    unreadable: 2,
    lost: 0,
  });
});

Deno.test("accepted, stopped and open networks", () => {
  const log = new Log()
    .defer("new", "accepted").after(100)
    .pass("retried", "accepted", " age=100 accepted=1")
    .defer("new", "once")
    .defer("new", "hammering").after(1).defer("early", "hammering")
    .defer("new", "late")
    .after(WINDOW).defer("stale", "late")
    .after(1).pass("known", "accepted");
  const { networks } = log.tally.report();
  assertEquals(networks.deferred, 4);
  assertEquals(networks.accepted, 1);
  assertEquals(networks.stopped, 2, "once and hammering");
  assertEquals(networks.once, 1);
  assertEquals(networks.open, 1, "late has a new retry window");
});

Deno.test("the limit between open and stopped", () => {
  const at = (seconds: number) =>
    new Log().defer("new", "a").after(seconds).pass("known", "b")
      .tally.report().networks;
  assertEquals([at(WINDOW - 1).open, at(WINDOW - 1).stopped], [1, 0]);
  assertEquals([at(WINDOW).open, at(WINDOW).stopped], [0, 1]);
  // The log begins after the first attempt.
  const { stopped } = new Log().defer("early", "a").after(WINDOW)
    .pass("known", "b").tally.report().networks;
  assertEquals(stopped, 1);
});

Deno.test("without times nothing is called stopped", () => {
  const log = new Log()
    .line("defer ip=x net=a reason=new").line("defer ip=x net=b reason=new")
    .line("pass ip=x net=a reason=retried age=75 accepted=1");
  const report = log.tally.report();
  assertEquals(report.networks, {
    deferred: 2,
    accepted: 1,
    stopped: 0,
    once: 0,
    open: 1,
    observed: 0,
    deferralsBeyondLimit: 0,
    limit: report.networks.limit,
  });
  assertEquals(report.delay.median, 75, "the entry's age must do");
  assertEquals(report.byDay, []);
  assert(caveats(report).some((text) => text.includes("No line has a time")));
});

Deno.test("delays", async (t) => {
  await t.step("from the first deferral, not the last", () => {
    const { delay } = new Log().defer("new", "a").after(10).defer("early", "a")
      .after(WINDOW).defer("stale", "a").after(90)
      .pass("retried", "a", " age=90 accepted=1").tally.report();
    assertEquals(delay.worst, WINDOW + 100);
  });
  await t.step("a first deferral before the log began", () => {
    const { delay } = new Log().pass("retried", "a", " age=300 accepted=1")
      .tally.report();
    assertEquals([delay.count, delay.median], [1, 300]);
  });
  await t.step("an age that is no number is no delay", () => {
    const { delay } = new Log().pass("retried", "a", " age=x")
      .pass("retried", "b").pass("retried", "c", " age=0").tally.report();
    assertEquals([delay.count, delay.worst], [1, 0]);
  });
  await t.step("expired and deferred again is another wait", () => {
    const { delay } = new Log().defer("new", "a").after(60)
      .pass("retried", "a", " age=60 accepted=1").after(40 * DAY)
      .defer("expired", "a").after(600)
      .pass("retried", "a", " age=600 accepted=1").tally.report();
    assertEquals([delay.count, delay.median, delay.worst], [2, 60, 600]);
  });
  await t.step("silence of more than five days is another wait", () => {
    const wait = (silence: number) =>
      new Log().defer("new", "a").after(silence).defer("stale", "a").after(60)
        .pass("retried", "a", " age=60").tally.report().delay.worst;
    assertEquals(wait(5 * DAY), 5 * DAY + 60);
    assertEquals(wait(5 * DAY + 1), 60);
  });
  await t.step("quantiles are exact", () => {
    const log = new Log();
    for (let i = 1; i <= 100; i++) {
      log.pass("retried", `n${i}`, ` age=${i * 60}`);
    }
    const { delay } = log.tally.report();
    assertEquals(delay.count, 100);
    assertEquals(delay.median, 50 * 60);
    assertEquals(delay.p90, 90 * 60);
    assertEquals(delay.worst, 100 * 60);
    const sum = delay.histogram.reduce((all, { count }) => all + count, 0);
    assertEquals(sum, 100);
    assertEquals(delay.histogram[0], { below: 60, count: 0 });
    assertEquals(delay.histogram[1], { below: 120, count: 1 });
  });
});

Deno.test("by hour and by day", () => {
  const report = new Log().defer("new", "a").after(3600).pass("known", "b")
    .after(2 * DAY).pass("known", "b").tally.report();
  const none = { stopped: 0, delayed: 0, open: 0, atOnce: 0 };
  assertEquals(report.byHour[12], { hour: 12, ...none, stopped: 1 });
  assertEquals(report.byHour[13], { hour: 13, ...none, atOnce: 2 });
  assertEquals(report.byDay, [
    { day: "2026-11-02", ...none, stopped: 1, atOnce: 1 },
    { day: "2026-11-04", ...none, atOnce: 1 },
  ]);
  const days = periods(report.byDay, 10);
  assertEquals(days.unit, "day");
  assertEquals(days.counts.map(({ label }) => label), [
    "2026-11-02",
    "2026-11-03",
    "2026-11-04",
  ]);
});

Deno.test("connections by what became of their network", () => {
  const report = new Log()
    .defer("new", "stopped").defer("new", "delayed")
    .after(1).defer("early", "stopped").defer("early", "delayed")
    // An hour later, the same networks again.
    .after(3600).pass("retried", "delayed", " age=3601")
    .defer("early", "stopped").pass("known", "delayed")
    .write('error defer ip=x net=e reason=error what="x"')
    .after(WINDOW).defer("new", "open").tally.report();
  const none = { stopped: 0, delayed: 0, open: 0, atOnce: 0 };
  assertEquals(report.byDay, [
    { day: "2026-11-02", stopped: 3, delayed: 3, open: 1, atOnce: 1 },
    { day: "2026-11-03", ...none, open: 1 },
  ]);
  assertEquals(report.byHour[12], {
    hour: 12,
    ...none,
    stopped: 2,
    delayed: 2,
  });
  assertEquals(report.byHour[13], {
    hour: 13,
    stopped: 1,
    delayed: 1,
    open: 2,
    atOnce: 1,
  });
});

Deno.test("a pool of the configuration is one network", () => {
  const report = new Log().defer("new", "@google").after(300)
    .pass("retried", "@google", " age=300 accepted=1").tally.report();
  assertEquals(report.networks.accepted, 1);
  assertEquals(report.delay.worst, 300);
  assertEquals(report.mostDeferred[0].network, "@google");
});

Deno.test("the delay histogram ends near its data", () => {
  const log = new Log().pass("retried", "a", " age=90")
    .pass("retried", "b", " age=1000");
  const labels = delayBars(log.tally.report().delay).map(({ label }) => label);
  assertEquals(labels, [
    "under 2 min",
    "under 5 min",
    "under 10 min",
    "under 15 min",
    "under 30 min",
  ]);
});

Deno.test("hosts that share one database", () => {
  const log = new Log();
  const at = (host: string, text: string) =>
    log.line(
      `${new Date(log.now * 1000).toISOString()} ${host} greylist[1]: ${text}`,
    );
  at("mx1", "defer ip=x net=a reason=new wait=60");
  assertEquals(log.tally.report().hosts, [], "one host is no news");
  at("mx2", "defer ip=x net=a reason=early wait=60");
  log.after(300);
  at("mx2", "pass ip=x net=a reason=retried age=300 accepted=1");
  at("mx1", "pass ip=x net=a reason=known age=0 accepted=2");
  at("mx1", 'error pass ip=x reason=error what="x"');
  const report = log.tally.report();
  assertEquals(report.networks.deferred, 1);
  const none = { wouldDefer: 0, warnings: 0 };
  assertEquals(report.hosts, [
    {
      host: "mx1",
      deferred: 1,
      passed: 2,
      retried: 0,
      elsewhere: 0,
      errors: 1,
      ...none,
    },
    {
      host: "mx2",
      deferred: 1,
      passed: 1,
      retried: 1,
      elsewhere: 1,
      errors: 0,
      ...none,
    },
  ]);
  const text = textReport(report);
  assertEquals(text.filter((line) => /^ {2}mx[12] /.test(line)).length, 2);
});

Deno.test("many days become weeks, months and years", () => {
  const at = (days: number) => {
    const log = new Log();
    for (let i = 0; i < days; i++) log.pass("known", "a").after(DAY);
    return periods(log.tally.report().byDay, 31);
  };
  assertEquals(at(31).unit, "day");
  assertEquals(at(32).unit, "week");
  assertEquals(at(32).counts.map(({ label }) => label).slice(0, 2), [
    "2026-11-02",
    "2026-11-09",
  ]);
  assertEquals(at(32).counts[0].atOnce, 7);
  assertEquals(at(400).unit, "month");
  assertEquals(at(400).counts[1], {
    label: "2026-12",
    stopped: 0,
    delayed: 0,
    open: 0,
    atOnce: 31,
  });
  assertEquals(at(1500).unit, "year");
});

Deno.test("networks that stand out", () => {
  const log = new Log();
  for (let i = 0; i < 5; i++) {
    log.defer(
      "early",
      "192.0.2.0/24",
      "helo=mx.example from=<a@b.example> to=<c@d.example>",
    );
  }
  log.after(70).pass("retried", "192.0.2.0/24", " age=70");
  log.defer("new", "198.51.100.0/24").defer("early", "198.51.100.0/24");
  log.after(60).pass("retried", "198.51.100.0/24", " age=60");
  // Never let in, whatever it tried.
  for (let i = 0; i < 4; i++) log.defer("early", "203.0.113.0/24");
  const { mostDeferred, mostTries } = log.tally.report();
  assertEquals(mostDeferred.map(({ network }) => network), [
    "192.0.2.0/24",
    "203.0.113.0/24",
    "198.51.100.0/24",
  ]);
  assertEquals(mostTries, [{
    network: "192.0.2.0/24",
    deferrals: 5,
    tries: 5,
    delay: 70,
    longest: 70,
    outcome: "accepted",
    ip: "x",
    helo: "mx.example",
    from: "<a@b.example>",
  }]);
});

Deno.test("pools: the same mail from another network each time", () => {
  const log = new Log();
  const mail = "from=<a@tenant.example> to=<b@c.example>";
  for (let i = 0; i < 4; i++) {
    log.defer("new", `192.0.${i}.0/24`, `helo=out${i}.cloud.co.uk ${mail}`);
  }
  // The same network again, another mail, and bounces: no moves.
  log.defer("early", "192.0.3.0/24", `helo=out3.cloud.co.uk ${mail}`);
  log.defer(
    "new",
    "198.51.100.0/24",
    "from=<x@tenant.example> to=<b@c.example>",
  );
  log.defer("new", "198.51.100.0/24", "from=<> to=<b@c.example>");
  log.defer("new", "203.0.113.0/24", "from=<> to=<b@c.example>");
  log.after(60).pass("retried", "192.0.3.0/24", " age=60");
  assertEquals(log.tally.report().pools, [{
    domain: "cloud.co.uk",
    hosts: ".cloud.co.uk",
    moves: 3,
    networks: 4,
    accepted: 1,
    tried: 0,
    ip: "x",
    helo: "out1.cloud.co.uk",
    from: "<a@tenant.example>",
  }]);
});

Deno.test("a HELO without a domain: the sender's domain counts", () => {
  const log = new Log();
  for (const net of ["a", "b"]) {
    log.defer("new", net, "helo=[192.0.2.1] from=<a@tenant.example> to=<b@c>");
  }
  assertEquals(log.tally.report().pools[0].domain, "tenant.example");
});

Deno.test("what exceeds the limits is counted, and the report says so", () => {
  const log = new Log({ networks: 3, pools: 2 });
  for (let i = 0; i < 5; i++) log.defer("new", `n${i}`);
  log.defer("early", "n1");
  const report = log.tally.report();
  assertEquals(report.deferred, 6);
  assertEquals(report.networks.deferred, 3);
  assertEquals(report.networks.deferralsBeyondLimit, 2);
  assert(remarks(report).some((remark) => remark.includes("beyond the 3")));
  assert(textReport(report).some((line) => line.includes("beyond")));
});

Deno.test("pools with most moves survive", () => {
  const log = new Log({ pools: 4 });
  const move = (domain: string, times: number) => {
    for (let i = 0; i <= times; i++) {
      const mail = `from=<${times}@${domain}> to=<b@c.example>`;
      log.defer("new", `${domain}-${i}`, `helo=x.${domain} ${mail}`);
    }
  };
  move("large.example", 50);
  for (let i = 0; i < 40; i++) move(`small${i}.example`, 1);
  move("large.example", 50);
  const { pools, poolsForgotten } = log.tally.report();
  assertEquals(pools[0].domain, "large.example");
  assert(pools[0].moves >= 100, `${pools[0].moves}`);
  assert(pools.length <= 4);
  assertEquals(poolsForgotten, 41 - pools.length);
});

Deno.test("only the rules that exempt most are shown, none is lost", () => {
  const log = new Log();
  for (let i = 0; i < 30; i++) {
    for (let n = 0; n <= i; n++) {
      log.write(`pass ip=x reason=whitelisted rule=FILE:${i}`);
    }
  }
  const rules = log.tally.report().whitelistedByRule;
  assertEquals(rules[0], { rule: "FILE:29", count: 30 });
  assertEquals(rules.length, 11);
  assertEquals(rules.reduce((sum, { count }) => sum + count, 0), 30 * 31 / 2);
});

Deno.test("no control character gets through", () => {
  const log = new Log();
  log.defer("new", "a\x1b[2J", "helo=\x1b]0;x\x07 from=<\x9b2J@x.example>");
  log.pass("whitelisted", "b", " rule=\x1b[31m").pass("\x1b[1m", "c");
  const report = log.tally.report();
  for (const line of textReport(report)) {
    assert(!/\p{C}/u.test(line), JSON.stringify(line));
  }
  assert(!/\p{C}/u.test(JSON.stringify(report)));
});

Deno.test("the text is at most 80 columns wide", () => {
  const log = new Log({ networks: 20 });
  const long = "x".repeat(200);
  for (let i = 0; i < 30; i++) {
    const net = `2001:db8:1111:2222:3333:4444:5555:${i}000/128`;
    for (let n = 0; n < 4; n++) {
      log.defer(
        "early",
        net,
        `helo=${long}.example from=<${long}@b.example> to=<c@d.example>`,
      );
    }
    log.after(100_000).pass("retried", net, " age=100000");
    log.write(`pass ip=x reason=whitelisted rule=/${long}:1`);
    log.pass(long, net).line(long).line("other: line").write("warn what=x");
  }
  for (const line of textReport(log.tally.report())) {
    assert(line.length <= 80, line);
  }
});
