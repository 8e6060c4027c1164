/**
 * A DNS for the tests of SPF, without a server.
 *
 * @module
 */

import { type Address, parseAddress } from "../../lib/address.ts";
import {
  type Found,
  type Resolver,
  TempError,
} from "../../lib/spf/resolver.ts";

/** The records of one name. */
export interface Records {
  readonly txt?: readonly string[];
  readonly mx?: readonly string[];
  readonly hosts?: readonly string[];
}
/** The records by name, in lower case; a string is a TXT record. */
export type Zone = Record<string, string | Records | "SERVFAIL">;

/** A DNS in memory. */
export class Zones implements Resolver {
  /** The questions so far, such as `d.example TXT`. */
  readonly asked: string[] = [];
  readonly #zone: Zone;

  constructor(zone: Zone) {
    this.#zone = zone;
  }

  #find<T>(
    name: string,
    type: string,
    pick: (records: Records) => readonly T[] | undefined,
  ): Promise<Found<T>> {
    this.asked.push(`${name} ${type}`);
    const entry = this.#zone[name];
    if (entry === "SERVFAIL") {
      return Promise.reject(new TempError(`${name}: SERVFAIL`));
    }
    const records = typeof entry === "string" ? { txt: [entry] } : entry;
    return Promise.resolve({
      exists: entry !== undefined,
      records: (records && pick(records)) ?? [],
    });
  }

  txt(name: string) {
    return this.#find(name, "TXT", ({ txt }) => txt);
  }

  addresses(name: string, family: 4 | 6) {
    return this.#find<Address>(
      name,
      family === 4 ? "A" : "AAAA",
      ({ hosts }) =>
        hosts?.map((text) => parseAddress(text)!)
          .filter((address) => address.family === family),
    );
  }

  mx(name: string) {
    return this.#find(name, "MX", ({ mx }) => mx);
  }
}
