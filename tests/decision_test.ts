import { assertEquals } from "@std/assert";
import { BaseHandler } from "@std/log/base-handler";
import { resolveConfig } from "../lib/config/resolve.ts";
import {
  decideOnError,
  DECISION_VARIABLE,
  deferLine,
  passLine,
  refusalFor,
  variableFor,
  warnOfOpenDirectory,
} from "../lib/decision.ts";
import { Logger } from "../lib/log/targets.ts";
import type { Deferral } from "../lib/smtp/refusal.ts";

const CLIENT = { ip: "192.0.2.7", net: "192.0.2.0/24" };
const KNOWN = {
  action: "pass",
  reason: "known",
  age: 312,
  accepted: 14,
  write: "accept",
} as const;
const NEW = {
  action: "defer",
  reason: "new",
  wait: 60,
  write: "create",
} as const;
const EXEMPT = {
  action: "pass",
  reason: "whitelisted",
  rule: "/etc/white list:3",
} as const;

Deno.test("decision: the line about a client that is let in", () => {
  const client = "ip=192.0.2.7 net=192.0.2.0/24";
  assertEquals(
    passLine(CLIENT, KNOWN),
    `pass ${client} reason=known age=312 accepted=14`,
  );
  assertEquals(
    passLine(CLIENT, EXEMPT),
    `pass ${client} reason=whitelisted rule=/etc/white\\x20list:3`,
  );
  assertEquals(
    passLine(CLIENT, NEW),
    `would-defer ${client} reason=new wait=60`,
  );
});

Deno.test("decision: the line about a client that is deferred", () => {
  const line = "defer ip=192.0.2.7 net=192.0.2.0/24 reason=new wait=60";
  const envelope = { helo: "x to=y", from: "", to: "a b@c", recipients: 1 };
  const said = (hasProxyHeader: boolean) => ({ envelope, hasProxyHeader });
  assertEquals(
    deferLine(CLIENT, NEW, "do so", said(false)),
    `${line} helo=x\\x20to=y from=<> to=<a\\x20b@c>`,
  );
  assertEquals(
    deferLine(CLIENT, NEW, "do so", said(true)),
    `${line} what="a PROXY header or an empty line: do so"`,
  );
  assertEquals(
    deferLine(CLIENT, NEW, "do so", {
      envelope: { from: "a b@c", recipients: 0 },
      hasProxyHeader: false,
    }),
    `${line} from=<a\\x20b@c>`,
  );
  // In place of a banner.
  assertEquals(deferLine(CLIENT, NEW, "do so"), line);
});

Deno.test("decision: what PROGRAM is told", () => {
  assertEquals(DECISION_VARIABLE, "GREYLIST");
  const net = "net=192.0.2.0/24";
  assertEquals(variableFor(CLIENT, KNOWN), `known age=312 accepted=14 ${net}`);
  assertEquals(
    variableFor(CLIENT, { ...KNOWN, reason: "retried", age: 61, accepted: 1 }),
    `retried age=61 accepted=1 ${net}`,
  );
  assertEquals(
    variableFor(CLIENT, EXEMPT),
    `whitelisted rule=/etc/white\\x20list:3 ${net}`,
  );
  // A client without an address has no network.
  assertEquals(
    variableFor({}, { ...EXEMPT, rule: "env:RELAYCLIENT" }),
    "whitelisted rule=env:RELAYCLIENT",
  );
  assertEquals(
    variableFor(CLIENT, NEW),
    `would-defer reason=new wait=60 ${net}`,
  );
  assertEquals(
    variableFor(CLIENT, { action: "pass", reason: "unsuspected" }),
    `unsuspected ${net}`,
  );
  assertEquals(variableFor(CLIENT, undefined), "error");
});

Deno.test("decision: deferral.message gets the wait that is left, and the reason", () => {
  const given: unknown[] = [];
  const config = resolveConfig({
    baseDir: "/x",
    deferral: {
      message: (deferral: Deferral) => {
        given.push(deferral);
        return "later";
      },
    },
  });
  const log = new Logger("test", "INFO", { handlers: [] });
  const waits = { new: 60, early: 17, stale: 59, expired: 58 } as const;
  for (const [reason, wait] of Object.entries(waits)) {
    const verdict = { ...NEW, reason: reason as keyof typeof waits, wait };
    assertEquals(
      refusalFor(verdict, config, CLIENT, log),
      { status: "4.7.1", text: "later" },
    );
  }
  assertEquals(
    given.slice(-4),
    Object.entries(waits).map(([reason, seconds]) => {
      return { seconds, reason, ip: CLIENT.ip };
    }),
  );
});

/** Keeps what is logged. */
class Lines extends BaseHandler {
  readonly #lines: string[];

  constructor(lines: string[]) {
    super("INFO", { formatter: ({ levelName, msg }) => `${levelName} ${msg}` });
    this.#lines = lines;
  }

  override log(line: string): void {
    this.#lines.push(line);
  }
}

Deno.test("decision: where the check fails, observing lets in as well", () => {
  const cases = [
    ["accept", "enforce", "pass", "pass"],
    ["accept", "observe", "pass", "pass"],
    ["defer", "enforce", "defer", "defer"],
    ["defer", "observe", "pass", "would-defer"],
  ] as const;
  for (const [onError, mode, action, verb] of cases) {
    const lines: string[] = [];
    const log = new Logger("test", "INFO", { handlers: [new Lines(lines)] });
    assertEquals(
      decideOnError({ onError, mode }, new Error("no luck"), CLIENT, log),
      action,
    );
    assertEquals(lines, [
      `ERROR ${verb} ip=192.0.2.7 net=192.0.2.0/24 reason=error what="no luck"`,
    ]);
  }
});

Deno.test("decision: a failure that is in the log is no ERROR again", () => {
  const lines: string[] = [];
  const log = new Logger("test", "INFO", { handlers: [new Lines(lines)] });
  const config = { onError: "accept", mode: "enforce" } as const;
  decideOnError(config, new Error("no luck"), CLIENT, log, true);
  assertEquals(lines, [
    'INFO pass ip=192.0.2.7 net=192.0.2.0/24 reason=error what="no luck"',
  ]);
});

Deno.test("decision: deferral.message that throws is a WARN, and the text is another", () => {
  const lines: string[] = [];
  const log = new Logger("test", "INFO", { handlers: [new Lines(lines)] });
  const config = resolveConfig({
    baseDir: "/x",
    deferral: {
      message: ({ ip }: Deferral) => {
        if (ip === CLIENT.ip) throw new Error("no luck");
        return "later";
      },
    },
  });
  assertEquals(refusalFor(NEW, config, CLIENT, log), {
    status: "4.7.1",
    text: "Greylisted, please try again in 60 seconds",
  });
  assertEquals(lines, ['WARN message reason=error what="no luck"']);
});

Deno.test("decision: a base directory that others can write to is an ERROR", () => {
  const lines: string[] = [];
  const log = new Logger("test", "ERROR", { handlers: [new Lines(lines)] });
  for (const mode of [undefined, 0o700, 0o755, 0o720, 0o771, 0o702, 0o1777]) {
    warnOfOpenDirectory("/base", mode, log);
  }
  const about = (who: string) =>
    `ERROR baseDir what="baseDir /base: ${who} can write there: expected mode 0700"`;
  assertEquals(
    lines,
    [
      about("its group"),
      about("its group"),
      about("anybody"),
      about("anybody"),
    ],
  );
});
