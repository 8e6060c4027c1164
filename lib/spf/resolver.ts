/**
 * The DNS as the evaluation of SPF records sees it. dns.ts asks real servers.
 *
 * @module
 */

import type { Address } from "../address.ts";

/** The records of one type that the DNS holds under a name. */
export interface Found<T> {
  /** Whether the name exists, with records of this type or without. */
  readonly exists: boolean;
  readonly records: readonly T[];
}

/**
 * A source of DNS answers. A name that cannot exist (a label of 64 characters)
 * counts as one that does not exist. Each method throws `TempError` if the
 * server does not answer the question.
 */
export interface Resolver {
  /** The TXT records, the strings of each joined. */
  txt(name: string): Promise<Found<string>>;
  addresses(name: string, family: 4 | 6): Promise<Found<Address>>;
  /** The names of the mail exchangers; empty for the root (RFC 7505). */
  mx(name: string): Promise<Found<string>>;
}

/** The DNS did not answer. Another try may help. */
export class TempError extends Error {
  override name = "TempError";
}
