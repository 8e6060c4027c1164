import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../lib/config.ts";
import { age, clean, compile, entries, logLines } from "../harness/binary.ts";
import {
  asData,
  internationalMails,
  type Mail,
  plainMails,
  series,
  submit,
} from "../harness/mails.ts";
import { e2e } from "../harness/need.ts";
import { SWAKS, swaks } from "../harness/next_program.ts";
import { gone, waitFor } from "../harness/process.ts";
import {
  type Delivery,
  openReceiver,
  type Receiver,
  RECEIVER_PROGRAMS,
} from "../harness/receiver.ts";
import { writeFile } from "../harness/root.ts";
import type { SenderKind, SenderOptions } from "../harness/sender.ts";
import { SENDERS } from "../harness/senders.ts";
import { tcpserver } from "../harness/way_in.ts";

// Real mail servers send through greylist to a real mail server. Nothing here
// waits for a delay to pass: the entry is made older when every message has been
// deferred, and the sender's own queue does the rest.

type At = "rcpt" | "banner" | "rblsmtpd";

const ENTRY = "127.0.0.0_24";

/** So long that no retry comes after the delay before the entry is made older. */
const CONFIG: Partial<Config> = { timeouts: { delay: "1h" } };

/** Compares what arrived with what was sent. */
function assertArrived(
  receiver: Receiver,
  mails: readonly Mail[],
  isExpected: (delivery: Delivery) => boolean = () => true,
): void {
  const deliveries = receiver.deliveries().filter(isExpected);
  const expected = mails.flatMap(({ from, to }) =>
    to.map((to) => `${from} ${to}`)
  );
  assertEquals(
    deliveries.map(({ from, to }) => `${from} ${to}`).sort(),
    expected.sort(),
  );
  for (const { to, header, body } of deliveries) {
    const mail = mails.find((mail) => mail.to.includes(to))!;
    assert(
      body.length === mail.body.length &&
        body.every((byte, i) => byte === mail.body[i]),
      `${to}: the body has changed`,
    );
    assert(header.includes(`\nSubject: ${mail.subject}\n`), header);
  }
}

/** Sends mail through greylist, and waits until the sender's queue is empty. */
async function send(
  kind: SenderKind,
  at: At,
  mails: readonly Mail[],
  options: Omit<SenderOptions, "to"> = {},
) {
  clean();
  const binary = await compile({
    ...CONFIG,
    ...at === "rcpt" ? {} : { deferral: { at } },
  });
  const receiver = await openReceiver();
  await using server = await tcpserver.start({
    binary,
    next: receiver.command,
    options: ["-c100"],
  });
  await using sender = await kind.start({ to: server.port, ...options });
  await submit(sender.port, mails);
  const recipients = mails.flatMap(({ to }) => to);
  try {
    for (const recipient of recipients) {
      await waitFor(
        `a deferral of ${recipient}`,
        () => sender.isDeferred(recipient) || sender.failures().length > 0,
      );
    }
    assertEquals(receiver.count(), 0);
    assertEquals(entries(), { [ENTRY]: 0 });
    age(ENTRY, 4000);
    await waitFor("an empty queue", async () => {
      if (sender.queued() === 0) return true;
      await sender.retry();
    }, 120);
    const failures = sender.failures();
    const rest = recipients.filter((to) =>
      !failures.some((line) => line.includes(`<${to}>`))
    );
    await waitFor("the deliveries", () => {
      const arrived = new Set(receiver.recipients());
      return rest.every((to) => arrived.has(to));
    });
    await gone(binary);
    assert(entries()[ENTRY] > 0);
    return { receiver, failures };
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`${message}\n${kind.name}: ${sender.lastWords()}`);
  }
}

for (const kind of SENDERS) {
  const needs = {
    ...kind,
    programs: [...kind.programs ?? [], ...RECEIVER_PROGRAMS, "tcpserver"],
  };
  const all = kind.takesUtf8
    ? [...plainMails(), ...internationalMails()]
    : plainMails();

  for (const at of ["rcpt", "banner"] as const) {
    e2e(`${kind.name}: all kinds of mail, at ${at}`, needs, async () => {
      const { receiver, failures } = await send(kind, at, all);
      assertEquals(failures, []);
      assertArrived(receiver, all);
    });
  }

  e2e(`${kind.name}: all kinds of mail, at rblsmtpd`, {
    ...needs,
    programs: [...needs.programs, "rblsmtpd"],
  }, async () => {
    const { receiver, failures } = await send(kind, "rblsmtpd", all);
    // Its EHLO lists no SMTPUTF8, which Postfix takes for an answer. Mail that
    // only waited meanwhile, because Postfix gave the whole host a rest after
    // another message's deferral, meets the real server later and arrives.
    const utf8 = kind.name === "Postfix" ? internationalMails() : [];
    const lost = utf8.filter(({ to }) =>
      failures.some((line) => to.some((one) => line.includes(`<${one}>`)))
    );
    assertEquals(failures.length, lost.length, failures.join("\n"));
    for (const line of failures) assertMatch(line, /dsn=5\.6\.7.*SMTPUTF8/);
    const arrived = all.filter(({ subject }) =>
      !lost.some((mail) => mail.subject === subject)
    );
    // Postfix tells the sender, by the same way.
    assertArrived(
      receiver,
      arrived,
      ({ header }) => !/^From:.*MAILER-DAEMON/m.test(header),
    );
  });

  e2e(`${kind.name}: demands TLS`, needs, async () => {
    const mails = [plainMails()[0]];
    const { receiver, failures } = await send(kind, "rcpt", mails, {
      tls: true,
    });
    assertEquals(failures, []);
    assertArrived(receiver, mails);
    assert(/with E?SMTPS/i.test(receiver.deliveries()[0].header));
  });

  e2e(`${kind.name}: 40 messages`, needs, async () => {
    const mails = series(40);
    const { receiver, failures } = await send(kind, "rcpt", mails, {
      reuse: true,
    });
    assertEquals(failures, []);
    assertArrived(receiver, mails);
    const sessions = logLines().filter((line) => / pass /.test(line)).length;
    if (kind.reuses) assert(sessions < 40, `${sessions} sessions`);
  });
}

e2e("swaks: all kinds of mail", {
  programs: ["swaks", ...RECEIVER_PROGRAMS, "tcpserver"],
  root: true,
}, async () => {
  clean();
  const binary = await compile(CONFIG);
  const receiver = await openReceiver();
  const next = receiver.command;
  await using server = await tcpserver.start({ binary, next });
  const mails = plainMails().filter(({ body }) => body.length < 1e7);
  const attempt = async (code: number) => {
    for (const mail of mails) {
      const file = writeFile("swaks.eml", asData(mail));
      const result = await swaks(server, "replaced", [
        ...["--from", mail.from || "<>", "--to", mail.to.join(",")],
        ...["--data", `@${file}`, "--suppress-data", "--no-data-fixup"],
      ]);
      assertEquals(result.code, code, result.text.slice(-2000));
    }
  };
  await attempt(SWAKS.rcptRefused);
  assertEquals(receiver.count(), 0);
  age(ENTRY, 4000);
  await attempt(SWAKS.delivered);
  const count = mails.flatMap(({ to }) => to).length;
  await waitFor("the deliveries", () => receiver.count() >= count);
  assertArrived(receiver, mails);
});
