/**
 * Senders of mail and their retries, with a clock of their own. Pure: the caller
 * says what becomes of an attempt.
 *
 * @module
 */

/** A kind of sender. */
export interface Kind {
  readonly name: string;
  /** Whether its clients have a host name (TCPREMOTEHOST). */
  readonly named: boolean;
  /** The clients' addresses begin with 127 and a number from here on. */
  readonly octet: number;
  /** Networks (/24) of the sender; `new` is another one for each mail. */
  readonly networks: number | "new";
  readonly mailsADay: number;
  /** When a deferred mail is tried again, in seconds after the first attempt. */
  readonly retries: readonly number[];
}

/** Hosts in each network of a sender with several. */
const HOSTS = 4;
const DAY = 86400;
/** Most senders give up after five days (RFC 5321 section 4.5.4.1). */
const GIVE_UP = 5 * DAY;

/** Postfix: after 300 s, then twice as long, 4000 s at most (postconf(5)). */
function postfixRetries(): number[] {
  const times: number[] = [];
  let wait = 300;
  for (let time = wait; time < GIVE_UP; time += wait) {
    times.push(time);
    wait = Math.min(2 * wait, 4000);
  }
  return times;
}

/** qmail: the n-th retry 400 n * n seconds after the first try (qmail-send). */
function qmailRetries(): number[] {
  const times: number[] = [];
  for (let n = 1; 400 * n * n < GIVE_UP; n++) times.push(400 * n * n);
  return times;
}

/**
 * Exchange Online: the first few times after 15 minutes, then up to 60 minutes
 * apart, for a day; the author gets a bounce then.
 */
function exchangeRetries(): number[] {
  const times = [900, 1800, 2700];
  for (let time = 6300; time < DAY; time += 3600) times.push(time);
  return times;
}

/** The kinds of senders that are played. */
export const KINDS: readonly Kind[] = [
  {
    name: "pool of 40 networks",
    named: true,
    octet: 1,
    networks: 40,
    mailsADay: 4,
    retries: postfixRetries(),
  },
  {
    // Microsoft's SPF record (spf.protection.outlook.com) has so many /24.
    name: "pool of 1,792, one day",
    named: true,
    octet: 3,
    networks: 1792,
    mailsADay: 4,
    retries: exchangeRetries(),
  },
  {
    name: "single server",
    named: true,
    octet: 2,
    networks: 1,
    mailsADay: 4,
    retries: qmailRetries(),
  },
  {
    name: "spammer without a name",
    named: false,
    octet: 16,
    networks: "new",
    mailsADay: 40,
    retries: [],
  },
  {
    name: "spammer with a name",
    named: true,
    octet: 32,
    networks: "new",
    mailsADay: 10,
    retries: [],
  },
  {
    name: "spammer that returns once",
    named: false,
    octet: 48,
    networks: "new",
    mailsADay: 10,
    retries: [1200],
  },
];

/** What became of one mail. */
export interface Mail {
  readonly kind: Kind;
  /** Seconds since the replay began. */
  readonly first: number;
  /** When it was let in, in seconds since the replay began. */
  accepted?: number;
}

/** An attempt to deliver a mail. */
interface Attempt {
  readonly time: number;
  readonly mail: Mail;
  /** The network of all attempts; undefined takes any of the sender's. */
  readonly network: number | undefined;
  readonly retry: number;
}

/**
 * Plays so many days of mail.
 *
 * @param tryOnce makes one attempt, given the client's address and the time, and
 * returns whether the mail was let in; it is called in the order of the times
 * @returns all mails; the last ones have time to be tried until their end
 */
export async function play(
  kinds: readonly Kind[],
  days: number,
  tryOnce: (address: string, time: number) => Promise<boolean> | boolean,
): Promise<Mail[]> {
  const random = generator(1);
  const mails: Mail[] = [];
  const queue: Attempt[] = [];
  const add = (attempt: Attempt) => {
    let at = queue.length;
    while (at > 0 && queue[at - 1].time < attempt.time) at--;
    queue.splice(at, 0, attempt);
  };
  for (const kind of kinds) {
    for (let i = 0; i < kind.mailsADay * days; i++) {
      const mail = { kind, first: Math.floor(random() * days * DAY) };
      mails.push(mail);
      const network = kind.networks === "new" ? i : undefined;
      add({ time: mail.first, mail, network, retry: 0 });
    }
  }
  for (let next; (next = queue.pop()) !== undefined;) {
    const { time, mail, retry } = next;
    const { octet, networks, retries } = mail.kind;
    const network = next.network ??
      Math.floor(random() * (networks as number));
    const host = networks === "new" || networks === 1
      ? 25
      : 25 + Math.floor(random() * HOSTS);
    const address = `127.${octet + (network >> 8)}.${network & 255}.${host}`;
    if (await tryOnce(address, time)) mail.accepted = time;
    else if (retry < retries.length) {
      add({ ...next, time: mail.first + retries[retry], retry: retry + 1 });
    }
  }
  return mails;
}

/** Numbers from 0 to 1 that are the same in each replay (mulberry32). */
function generator(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let bits = Math.imul(seed ^ seed >>> 15, 1 | seed);
    bits = bits + Math.imul(bits ^ bits >>> 7, 61 | bits) ^ bits;
    return ((bits ^ bits >>> 14) >>> 0) / 2 ** 32;
  };
}

/** What became of the mails of one kind. */
export interface Figures {
  mails: number;
  atOnce: number;
  delayed: number;
  /** Never let in. */
  stopped: number;
  /** Seconds that the delayed mails took, from the shortest. */
  delays: number[];
}

/** Counts the mails of one kind. */
export function figuresOf(mails: readonly Mail[], kind: Kind): Figures {
  const own = mails.filter((mail) => mail.kind === kind);
  const delays = own.flatMap(({ first, accepted }) =>
    accepted === undefined || accepted === first ? [] : [accepted - first]
  ).sort((a, b) => a - b);
  const stopped = own.filter(({ accepted }) => accepted === undefined).length;
  return {
    mails: own.length,
    atOnce: own.length - stopped - delays.length,
    delayed: delays.length,
    stopped,
    delays,
  };
}
