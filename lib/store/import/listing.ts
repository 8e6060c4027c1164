/**
 * What `greylist info` wrote with `--json` or `--csv`.
 *
 * @module
 */

import { type Network, parseNetwork } from "../../address.ts";
import { isEntryName } from "../entry_name.ts";
import type { Found, PoolEntry, ReadLine } from "./found.ts";

/** The columns of `info --csv` that matter here. */
const COLUMNS = ["network", "accepted", "first", "last"];

/** Reads a listing; its first line says which of the two it is. */
export function listingReader(): ReadLine<Network | PoolEntry> {
  let read: ReadLine<Network | PoolEntry> | undefined;
  return (line) => {
    if (read !== undefined) return read(line);
    const heading = line.split(",");
    if (COLUMNS.every((name) => heading.includes(name))) {
      read = csvReader(heading);
      return "other";
    }
    return (read = readJson)(line);
  };
}

function readJson(line: string): Found<Network | PoolEntry> | undefined {
  try {
    const { network, accepted, first, last } = JSON.parse(line);
    return found(network, accepted, first, last);
  } catch {
    return undefined;
  }
}

function csvReader(
  heading: readonly string[],
): ReadLine<Network | PoolEntry> {
  const columns = COLUMNS.map((name) => heading.indexOf(name));
  return (line) => {
    const fields = line.split(",");
    if (fields.length !== heading.length) return undefined;
    const [network, accepted, first, last] = columns.map((i) => fields[i]);
    const number = (text: string) => text === "" ? null : Number(text);
    return found(network, number(accepted), number(first), number(last));
  };
}

function found(
  text: unknown,
  accepted: unknown,
  first: unknown,
  last: unknown,
): Found<Network | PoolEntry> | undefined {
  const network = typeof text === "string" ? parseClient(text) : undefined;
  if (network === undefined || !isCount(accepted) || !isCount(last)) {
    return undefined;
  }
  if (accepted === 0) {
    return { network, firstSeen: last, lastAccepted: undefined, accepted };
  }
  const firstSeen = isCount(first) ? first : last;
  return { network, firstSeen, lastAccepted: last, accepted };
}

/** A network, or the entry of a pool. */
function parseClient(text: string): Network | PoolEntry | undefined {
  if (!text.startsWith("@")) return parseNetwork(text);
  return isEntryName(text) ? text as PoolEntry : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
