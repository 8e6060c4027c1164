/**
 * Finds the rule of the whitelist that exempts a client.
 *
 * @module
 */

import { contains, type Network } from "../address.ts";
import { reasonOf } from "../reason.ts";
import { type Client, type Found, matchesName, NO_RULE } from "./file.ts";

/** The rules that exempt a client, as the configuration has them. */
export interface Whitelist {
  /** Each with the text that it was configured as. */
  readonly networks: readonly {
    readonly text: string;
    readonly network: Network;
  }[];
  /** In lower case. */
  readonly hosts: readonly string[];
  /** Paths of whitelist files. */
  readonly files: readonly string[];
  /** Names of environment variables. */
  readonly env: readonly string[];
  readonly localPorts: readonly number[];
}

/** What rules are matched against. A property is looked up only if a rule needs it. */
export interface ClientConnection extends Client {
  localPort(): number | undefined;
  /** Tells whether the environment variable is set, even to nothing. */
  hasVariable(name: string): boolean;
}

/** How many bad lines of one file get a warning each. */
const MOST_TOLD = 10;

/** Searches the whitelist files, and takes the warnings about them. */
export interface Files {
  /** @throws {Error} if the file cannot be read */
  search(path: string, client: Client): Found;
  /**
   * Searches many files at once. If it is missing, each file is searched alone.
   *
   * @returns the first path whose file has the client
   */
  searchAll?(paths: readonly string[], client: Client): string | undefined;
  /** The section of the configuration that names the files, such as `whitelist`. */
  readonly section: string;
  warn(message: string): void;
}

/**
 * Finds the first rule that exempts a client.
 *
 * @returns the rule as the log names it, such as `env:RELAYCLIENT`,
 * `networks:192.0.2.0/24` or `/etc/whitelist:12`, or undefined
 */
export function findExemption(
  whitelist: Whitelist,
  connection: ClientConnection,
  files: Files,
): string | undefined {
  const variable = whitelist.env.find((name) => connection.hasVariable(name));
  if (variable !== undefined) return `env:${variable}`;

  if (whitelist.localPorts.length > 0) {
    const port = connection.localPort();
    if (port !== undefined && whitelist.localPorts.includes(port)) {
      return `localPorts:${port}`;
    }
  }

  const { address, host } = connection;
  if (address !== undefined) {
    const rule = whitelist.networks.find((rule) =>
      contains(rule.network, address)
    );
    if (rule !== undefined) return `networks:${rule.text}`;
  }

  if (host !== undefined) {
    const name = whitelist.hosts.find((pattern) => matchesName(pattern, host));
    if (name !== undefined) return `hosts:${name}`;
  }

  for (const path of whitelist.files) {
    const line = findInFile(path, connection, files);
    if (line !== undefined) return `${path}:${line}`;
  }
  return undefined;
}

/** The first of several files that has the client. */
export function findFile(
  paths: readonly string[],
  client: Client,
  files: Files,
): string | undefined {
  if (paths.length === 0) return undefined;
  if (files.searchAll !== undefined) return files.searchAll(paths, client);
  return paths.find((path) => findInFile(path, client, files) !== undefined);
}

function findInFile(
  path: string,
  client: Client,
  files: Files,
): number | undefined {
  let found: Found;
  try {
    found = files.search(path, client);
  } catch (error) {
    files.warn(unreadable(path, error, files.section));
    return undefined;
  }
  tellBadLines(path, found.bad, files.warn);
  return found.line;
}

/**
 * Says that a file with rules cannot be read, why, and what to do.
 *
 * @param section the section of the configuration that names it
 */
export function unreadable(
  path: string,
  error: unknown,
  section: string,
): string {
  const reason = reasonOf(error);
  const advice = /no such file/i.test(reason)
    ? `: create it, or take it out of ${section}.files`
    : /permission denied/i.test(reason)
    ? ": let the user that greylist runs as read it"
    : "";
  return `${section} file ${path}: ${reason}${advice}`;
}

/** Warns of the lines of a whitelist file that are no rule. */
export function tellBadLines(
  path: string,
  bad: Found["bad"],
  warn: Files["warn"],
): void {
  for (const { number, content, fault } of bad.slice(0, MOST_TOLD)) {
    const shown = JSON.stringify(content.slice(0, 60));
    warn(`${path}:${number}: ${shown}: ${fault ?? NO_RULE.fault}`);
  }
  if (bad.length > MOST_TOLD) {
    warn(`${path}: ${bad.length - MOST_TOLD} more bad lines`);
  }
}
