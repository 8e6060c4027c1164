/**
 * The stories that the demo tells: the connections of one sender, and what has
 * to come of each.
 *
 * @module
 */

/** How many seconds the demo's configuration lets a new sender wait. */
export const DELAY = 2;

/** The name of the simulated mail server. */
export const HOSTNAME = "d.example";

/** One connection, and what has to come of it. */
export interface Contact {
  /** The text above the connection on the screen. */
  readonly introduction: string;
  /** Seconds to wait before it. */
  readonly wait: number;
  readonly commands: readonly string[];
  /** The codes of the banner and of the replies. */
  readonly codes: string;
  /** The verdict and its reason in the log. */
  readonly verdict: string;
  /** The size of the entry's file, which is how often it was accepted. */
  readonly size: number;
  /** The meaning of that size. */
  readonly meaning: string;
  /** Whether the next program has to be the one that answers. */
  readonly handedOver: boolean;
}

const ENVELOPE = [
  "HELO b.example",
  "MAIL FROM:<a@b.example>",
  "RCPT TO:<c@d.example>",
] as const;

const DEFERRED = {
  commands: [...ENVELOPE, "QUIT"],
  codes: "220 250 250 451 221",
  size: 0,
  handedOver: false,
} as const;

/** In this order. */
export const CONTACTS: readonly Contact[] = [
  {
    ...DEFERRED,
    introduction: "1. A sender that was never seen is asked to come back later",
    wait: 0,
    verdict: "defer new",
    meaning: "0: never accepted",
  },
  {
    ...DEFERRED,
    introduction: "2. It tries again at once, which is too early",
    wait: 0,
    verdict: "defer early",
    meaning: "unchanged",
  },
  {
    introduction:
      `3. It tries again after ${DELAY} seconds: greylist becomes the stand-in for qmail-smtpd`,
    wait: DELAY,
    commands: [
      ...ENVELOPE,
      "DATA",
      "Subject: hello\n.",
      "QUIT",
    ],
    codes: "220 250 250 250 354 250 221",
    verdict: "pass retried",
    size: 1,
    meaning: "1: accepted once",
    handedOver: true,
  },
];

/** A connection to one of several hosts. */
export interface HostContact extends Contact {
  /** The number of the host. */
  readonly host: number;
}

const MAIL = CONTACTS[2];

/** The story with two hosts, in this order. */
export const HOST_CONTACTS: readonly HostContact[] = [
  {
    ...CONTACTS[0],
    host: 1,
    introduction: "1. A sender that was never seen is deferred by MX 1",
  },
  {
    ...CONTACTS[1],
    host: 2,
    introduction: "2. It tries MX 2 at once, which is too early there as well",
  },
  {
    ...MAIL,
    host: 2,
    introduction:
      `3. It tries MX 2 again after ${DELAY} seconds, and is let in`,
  },
  {
    ...MAIL,
    host: 1,
    introduction: "4. It comes to MX 1, which knows it",
    wait: 0,
    verdict: "pass known",
    size: 2,
    meaning: "2: accepted twice",
  },
];
