/**
 * The check of one client in the wrapper: its address, the rules on which clients
 * have to wait, and its entry.
 *
 * @module
 */

import {
  type Address,
  clientNetwork,
  formatAddress,
  formatNetwork,
  type Network,
} from "./address.ts";
import type { ResolvedConfig } from "./config.ts";
import type { Decision } from "./decision.ts";
import { type ClientFields, formatLine, quote } from "./log/line.ts";
import type { Logger } from "./log/targets.ts";
import { findHost, findLocalPort, findPeer } from "./peer.ts";
import {
  CheckedDirectory,
  type DirectoryFindings,
} from "./store/checked_directory.ts";
import { variable } from "./system/environment.ts";
import { localOf, peerOf } from "./system/socket.ts";
import type { Budget } from "./system/within.ts";
import { isIndexed, searchFiles, searchWhitelist } from "./whitelist/cache.ts";
import {
  type ClientConnection,
  tellBadLines,
  unreadable,
  type Whitelist,
} from "./whitelist/exemption.ts";
import { type FilesOf, findPass, subjectOf } from "./who_waits.ts";

/** The client has reset the connection. */
export class ClientGone extends Error {}

function socketPeer(): Address | undefined {
  const peer = peerOf(0);
  if (peer === "gone") throw new ClientGone("the client has gone");
  return peer?.address;
}

/** What the check of a client finds out besides its decision. */
export interface Findings extends DirectoryFindings {
  /** The client, as far as it is known, as the log has it. */
  readonly client: ClientFields;
  /** Variables for the environment of PROGRAM. */
  readonly variables: Record<string, string>;
}

const NO_RULES: Whitelist = {
  networks: [],
  hosts: [],
  files: [],
  env: [],
  localPorts: [],
};

/**
 * Checks the client on standard input: whitelist, `only`, pools, and then the
 * entry. Rules that need no file come first: a client that such a rule exempts never
 * waits for the base directory. The wait for it comes before the first file with an
 * index.
 *
 * @param budget what the base directory may take, all calls together
 * @param findings is filled in on the way, also if the check fails
 * @throws {ClientGone} if the client has reset the connection
 * @throws {DirectoryHangs} if the base directory does not answer within
 * storeTimeout, or is not asked because too many other wrappers wait for it
 * @throws {Error} if the check itself fails
 */
export async function checkClient(
  config: ResolvedConfig,
  log: Logger,
  budget: Budget,
  findings: Findings,
): Promise<Decision> {
  const { client } = findings;
  let address: Address | undefined;
  let network: Network | undefined;
  let failure: unknown;
  try {
    const peer = findPeer(variable, socketPeer);
    address = peer.address;
    client.ip = formatAddress(address);
    network = clientNetwork(address, config.match);
    client.net = formatNetwork(network);
    if (peer.source !== "TCPREMOTEIP") {
      findings.variables.TCPREMOTEIP = client.ip;
    }
  } catch (error) {
    if (error instanceof ClientGone) throw error;
    // A rule that needs no address may still exempt the client.
    failure = error;
  }
  const { baseDir, pools, timeouts, whitelist, only } = config;
  const connection: ClientConnection = {
    address,
    host: findHost(variable),
    localPort: () => findLocalPort(variable, () => localOf(0)?.port),
    hasVariable: (name) => variable(name) !== undefined,
  };
  const directory = new CheckedDirectory(
    baseDir,
    budget,
    config.storeTimeout,
    findings,
  );
  const withIndexes = async (decision: Decision) => {
    await directory.makeIndexes();
    const { newProblem } = directory;
    if (newProblem !== undefined) {
      log.error(formatLine("baseDir", { what: quote(newProblem) }));
    }
    return decision;
  };
  const filesOf: FilesOf = (section) => {
    const warn = (message: string) =>
      log.warn(formatLine(section, { what: quote(message) }));
    return {
      section,
      warn,
      search: (path, client) =>
        searchWhitelist(path, directory.indexes, client),
      searchAll: (paths, client) =>
        searchFiles(paths, directory.indexes, client, {
          unreadable: (path, error) => warn(unreadable(path, error, section)),
          bad: (path, lines) => tellBadLines(path, lines, warn),
        }),
    };
  };
  const passOf = (whitelist: Whitelist, only?: typeof config.only) =>
    findPass({ whitelist, only }, connection, filesOf);
  let pass = passOf({ ...whitelist, files: [] });
  for (const path of whitelist.files) {
    if (pass !== undefined) break;
    if (isIndexed(path)) await directory.look();
    pass = passOf({ ...NO_RULES, files: [path] });
  }
  if (pass === undefined && only !== undefined) {
    if (only.files.some(isIndexed)) await directory.look();
    pass = passOf(NO_RULES, only);
  }
  if (pass !== undefined) return await withIndexes(pass);
  if (network === undefined) throw failure;
  // The files of pools share an index, whatever their size.
  if (pools.some(({ files }) => files.length > 0)) await directory.look();
  const { entry, net } = subjectOf(pools, network, connection, filesOf);
  client.net = net;
  const now = Date.now() / 1000;
  return await withIndexes(await directory.decide(entry, now, timeouts));
}
