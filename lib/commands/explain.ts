/**
 * `greylist explain`: what would happen to a client now, and why.
 *
 * @module
 */

import {
  clientNetwork,
  formatAddress,
  parseAddress,
  parseBracketed,
} from "../address.ts";
import type { ResolvedConfig } from "../config.ts";
import { counted } from "../report/format.ts";
import { isHostPattern } from "../whitelist/host_pattern.ts";
import { Listing } from "../store/listing.ts";
import {
  type Entry,
  judge,
  type Timeouts,
  type Verdict,
} from "../store/policy.ts";
import { readRegularFile } from "../system/file.ts";
import { type Admission, admit } from "../serve/rules.ts";
import { poolEntryName } from "../store/entry_name.ts";
import { Store } from "../store/store.ts";
import {
  type ClientConnection,
  findExemption,
} from "../whitelist/exemption.ts";
import { searchFile } from "../whitelist/file.ts";
import { findSuspicion, type Only } from "../whitelist/only.ts";
import { type FilesOf, subjectOf } from "../who_waits.ts";
import {
  type Command,
  EXIT,
  Output,
  parseOptions,
  tell,
  UsageError,
} from "./command.ts";
import { period, timeAndAge } from "./format.ts";

/** The command; see {@linkcode Command}. */
export const command: Command = {
  help: `NAME
  greylist explain - what would happen to a client now, and why

SYNOPSIS
  greylist explain ADDRESS [--host=NAME] [--port=N]

DESCRIPTION
  Says what would happen to a connection from ADDRESS now. It names the network
  or pool that the client counts as, and the whitelist rule that exempts the
  client, by field of the configuration or by file and line. If the
  configuration has "only", it names the rule that makes the client suspect. For
  a client that is greylisted, it shows the entry of the network or pool, the
  verdict, and when the verdict changes. The command changes nothing.

  The super-server sets environment variables such as RELAYCLIENT for each
  connection. They are not known here, except those of serve.rules.

OPTIONS
  --host=NAME  the client's host name, as TCPREMOTEHOST would give it, or its
               address in that place; without this option the client has no
               name
  --port=N     the local port of the connection, as in TCPLOCALPORT; without
               this option no rule about ports matches
`,
  run(args, { config, serve }) {
    const { options, operands } = parseOptions(args, {
      string: ["host", "port"],
    });
    const [text, ...rest] = operands;
    if (text === undefined || rest.length > 0) {
      throw new UsageError("expected one ADDRESS");
    }
    const address = parseAddress(text);
    if (address === undefined) {
      throw new UsageError(
        `${text}: expected an address such as 192.0.2.17 or 2001:db8::17`,
      );
    }
    const output = new Output();
    const host = hostOf(options.host);
    const port = portOf(options.port);
    const connection: ClientConnection = {
      address,
      host,
      localPort: () => port,
      hasVariable: () => false,
    };
    const filesOf: FilesOf = (section) => ({
      section,
      search: (path, client) => searchFile(readRegularFile(path), client),
      warn: (message) => tell(`greylist explain: ${message}`),
    });
    const network = clientNetwork(address, config.match);
    const subject = subjectOf(config.pools, network, connection, filesOf);
    output.line(
      `client     ${formatAddress(address)}, counts as ${subject.net}` +
        otherPool(config, subject.net, host),
    );
    const admission = admit(serve.rules, address);
    if (admission.rule !== undefined) {
      const { env } = config.whitelist;
      output.line(`serve      ${admission.rule}: ${admitted(admission, env)}`);
    }

    const rule = findExemption(
      config.whitelist,
      connection,
      filesOf("whitelist"),
    );
    if (rule !== undefined) {
      output.line(`whitelist  exempt by ${rule}`);
      output.line("verdict    pass, whitelisted; its entry is not looked at");
      output.flush();
      return EXIT.done;
    }
    output.line(`whitelist  ${unmatched(config, host, port)}`);
    const { only } = config;
    if (only !== undefined) {
      const suspicion = findSuspicion(only, connection, filesOf("only"));
      if (suspicion === undefined) {
        output.line(`only       ${unsuspected(only, host)}`);
        output.line("verdict    pass, unsuspected; its entry is not looked at");
        output.flush();
        return EXIT.done;
      }
      output.line(
        `only       suspect by ${suspicion}${named(suspicion, host)}`,
      );
    }

    const now = Date.now() / 1000;
    const entry = new Store(config.baseDir).read(subject.entry);
    // If the directory is missing, there is no entry either. The error is thrown here.
    if (entry === undefined) new Listing(config.baseDir).close();
    const path = `${config.baseDir}/${subject.entry}`;
    output.line(`entry      ${path}: ${describe(entry, now)}`);
    const verdict = judge(entry, now, config.timeouts);
    output.line(
      `verdict    ${verdict.action}, ${verdict.reason}: ` +
        because(verdict, config.timeouts),
    );
    if (config.mode === "observe" && verdict.action === "defer") {
      output.line("mode       observe: it is let in nevertheless");
    }
    for (const line of changes(entry, verdict, now, config.timeouts)) {
      output.line(`later      ${line}`);
    }
    output.flush();
    return EXIT.done;
  },
};

function hostOf(value: string | boolean | undefined): string | undefined {
  if (value === undefined) return undefined;
  const host = String(value).toLowerCase().replace(/\.$/, "");
  if (isHostPattern(host) && !host.startsWith(".")) return host;
  // Some super-servers give the address in place of a name.
  if (parseBracketed(host) !== undefined) return host;
  throw new UsageError(`--host=${value}: expected a host name or an address`);
}

function portOf(value: string | boolean | undefined): number | undefined {
  if (value === undefined) return undefined;
  const port = /^[0-9]{1,5}$/.test(String(value)) ? Number(value) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new UsageError(
    `--port=${value}: expected a port number from 1 to 65535`,
  );
}

/** The effect of a rule of `serve.rules`, which the wrapper does not have. */
function admitted(
  { deny, env }: Admission,
  exempting: readonly string[],
): string {
  if (deny) return "greylist serve hangs up on it";
  const names = Object.keys(env);
  if (names.length === 0) return "greylist serve takes it";
  const exempt = names.find((name) => exempting.includes(name));
  return `greylist serve sets ${names.join(", ")}` +
    (exempt === undefined ? "" : `, so it is exempt by env:${exempt} there`);
}

/** Says that the client may count as a pool that has names, if it has no name. */
function otherPool(
  { pools }: ResolvedConfig,
  net: string,
  host: string | undefined,
): string {
  if (host !== undefined) return "";
  // The first pool that has the client counts: later ones make no difference.
  const found = pools.findIndex(({ name }) => poolEntryName(name) === net);
  const mayCount = pools.slice(0, found < 0 ? undefined : found)
    .some(({ hosts, files }) => hosts.length > 0 || files.length > 0);
  return mayCount
    ? "; it would count as a pool if its host name matched (--host)"
    : "";
}

/** Says that no rule exempts the client, and which rules were not looked at. */
function unmatched(
  { whitelist }: ResolvedConfig,
  host: string | undefined,
  port: number | undefined,
): string {
  const unknown = [
    ...whitelist.env.map((name) => `${name} were set`),
    ...(port === undefined ? whitelist.localPorts : [])
      .map((port) => `it came to port ${port}`),
    ...(host === undefined && (whitelist.hosts.length > 0 ||
        whitelist.files.length > 0)
      ? ["its host name matched (--host)"]
      : []),
  ];
  return unknown.length === 0
    ? "no rule"
    : `no rule; it would be exempt if ${unknown.join(", or ")}`;
}

/** Says that a client is suspect only because its name was not given. */
function named(suspicion: string, host: string | undefined): string {
  return suspicion === "nameless" && host === undefined
    ? "; it may not be if it has a host name (--host)"
    : "";
}

/** The rules of `only` that would make the client suspect. */
function unsuspected(only: Only, host: string | undefined): string {
  const unknown = [
    ...only.env.map((name) => `${name} were set`),
    ...(host === undefined && (only.hosts.length > 0 || only.files.length > 0)
      ? ["its host name matched (--host)"]
      : []),
  ];
  return unknown.length === 0
    ? "not suspect"
    : `not suspect; it would be if ${unknown.join(", or ")}`;
}

function describe(entry: Entry | undefined, now: number): string {
  if (entry === undefined) return "none";
  const state = entry.accepted === 0
    ? "grey"
    : `known, accepted ${counted(entry.accepted, "time")}`;
  return `${state}, last written ${timeAndAge(entry.mtime, now)}`;
}

/** The condition in the row of the verdict table. */
function because(verdict: Verdict, timeouts: Timeouts): string {
  const { delay, retryWindow, expireAfter } = timeouts;
  switch (verdict.reason) {
    case "new":
      return "there is no entry";
    case "early":
      return `grey for less than timeouts.delay (${period(delay)})`;
    case "stale":
      return "grey for longer than timeouts.retryWindow " +
        `(${period(retryWindow)})`;
    case "expired":
      return "known, and not seen for longer than timeouts.expireAfter " +
        `(${period(expireAfter)})`;
    case "retried":
      return `grey for timeouts.delay (${period(delay)}) or more`;
    case "known":
      return "known, and seen within timeouts.expireAfter " +
        `(${period(expireAfter)})`;
  }
}

/** When the verdict changes, if no connection comes in the meantime. */
function changes(
  entry: Entry | undefined,
  verdict: Verdict,
  now: number,
  timeouts: Timeouts,
): string[] {
  const { delay, retryWindow, expireAfter } = timeouts;
  if (verdict.action === "defer" && verdict.write !== "none") {
    return [`this connection would start its wait of ${period(delay)}`];
  }
  // Early, retried and known always have an entry.
  const last = entry?.mtime ?? now;
  const known = `defer, expired, from ${timeAndAge(last + expireAfter, now)}`;
  if (verdict.reason === "known") return [known];
  const stale = `defer, stale, from ${timeAndAge(last + retryWindow, now)}`;
  if (verdict.reason === "retried") return [stale];
  return [`pass, retried, from ${timeAndAge(last + delay, now)}`, stale];
}
