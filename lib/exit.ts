/** Exit codes as qmail's programs have them (qmail-command(8)). */
export const EXIT = {
  /** Done. */
  done: 0,
  /** Used or configured wrongly: trying again changes nothing. */
  wrong: 100,
  /** A temporary problem: trying again later may help. */
  temporary: 111,
} as const;
