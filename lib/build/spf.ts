/**
 * `deno task spf`: makes a whitelist file from the SPF records of domains. It
 * runs from source, so that the compiled program needs no network permission.
 *
 * @module
 */

import { basename, dirname } from "@std/path";
import { formatNetwork } from "../address.ts";
import {
  EXIT,
  Output,
  parseOptions,
  TemporaryError,
  UsageError,
} from "../commands/command.ts";
import {
  DnsResolver,
  parseServer,
  type Server,
  systemServers,
} from "../spf/dns.ts";
import { isName } from "../spf/message.ts";
import { excess, minimal, type Sourced } from "../spf/networks.ts";
import { printable } from "../spf/record.ts";
import { expand, PermError, TempError } from "../spf/resolve.ts";

/** The manual page. */
export const help = `\
NAME
    deno task spf - make a whitelist file from SPF records

SYNOPSIS
    deno task spf DOMAIN... [--output=FILE] [--server=HOST:PORT]

DESCRIPTION
    Senders with large pools of addresses retry a deferred message from
    another network each time, and it stays deferred. This looks up the SPF
    record of each DOMAIN with all that it includes, and writes every network
    from which it lets mail pass, one a line, merged and sorted, with the
    terms that it comes from as comment. Name the file under whitelist.files
    in greylist.config.ts, and run this again from time to time.

    FILE is replaced in one step, and only if every look-up succeeded. If a
    DOMAIN fails, one line on standard error says why, and FILE stays as it was.
    So is a DOMAIN, or all of them together, if the networks have more
    addresses than an IPv4 /8 or an IPv6 /16, as with a record that ends with
    +all.

    Terms that stand for something else with each client (ptr, exists, macros)
    cannot be written as networks. They are left out, which is said on
    standard error and in the file. A term that refuses (-a, ~include:...) is
    not looked up: the networks listed after it are marked "although -a",
    which is said in the same way.

OPTIONS
    --output=FILE
        Where to write; standard output if left out.
    --server=HOST:PORT
        The DNS server to ask, over TCP; an IPv6 address in brackets, port 53
        if left out. Without this, those in /etc/resolv.conf.
    --help
        This text.

EXIT STATUS
    0 done; 100 a record is wrong or missing, or this command line is;
    111 the DNS did not answer, or the disk is in the way: try again later.
`;

/** How long a server may take, in milliseconds. A resolver gives up earlier. */
const TIMEOUT = 10_000;

/** The networks of one domain, and what was said about them. */
interface Result {
  readonly domain: string;
  readonly networks: readonly Sourced[];
  readonly lookups: number;
  readonly warnings: readonly string[];
}

/**
 * Runs the command.
 *
 * @returns the exit code; every error has been written to standard error
 */
export async function run(args: string[]): Promise<number> {
  try {
    return await spf(args);
  } catch (error) {
    complain((error as Error).message);
    return error instanceof UsageError ? EXIT.wrong : EXIT.temporary;
  }
}

async function spf(args: string[]): Promise<number> {
  const { options, operands } = parseOptions(args, {
    string: ["output", "server"],
    boolean: ["help"],
  });
  if (options.help) {
    print(help);
    return EXIT.done;
  }
  // The parser lists an option with an empty value as undefined.
  for (const name of Object.keys(options)) {
    if (!options[name]) throw new UsageError(`--${name}: expected a value`);
  }
  if (operands.length === 0) {
    throw new UsageError("expected a DOMAIN; deno task spf --help tells more");
  }
  const domains = [...new Set(operands.map(parseDomain))];
  const servers = options.server === undefined
    ? systemServers(readIfThere("/etc/resolv.conf"))
    : [parseServerOption(String(options.server))];

  const results = await lookUp(domains, servers);
  if (typeof results === "number") return results;
  const networks = minimal(results.flatMap((result) => result.networks));
  try {
    refuseWorld(networks);
  } catch (error) {
    complain(`all domains together: ${(error as Error).message}`);
    return EXIT.wrong;
  }
  const made = `deno task spf ${args.map(printable).join(" ")}`;
  const text = render(results, networks, made, new Date());
  if (options.output === undefined) print(text);
  else replaceFile(String(options.output), text);
  return EXIT.done;
}

/** @returns the exit code if a domain failed */
async function lookUp(
  domains: readonly string[],
  servers: readonly Server[],
): Promise<Result[] | number> {
  const resolver = new DnsResolver(servers, TIMEOUT);
  const results: Result[] = [];
  const failures: (PermError | TempError)[] = [];
  for (const domain of domains) {
    try {
      const expansion = await expand(domain, resolver);
      const networks = minimal(expansion.networks);
      refuseWorld(networks);
      const { lookups, warnings } = expansion;
      results.push({ domain, networks, lookups, warnings });
      for (const warning of warnings) complain(`${domain}: ${warning}`);
      complain(summary(results.at(-1)!));
    } catch (error) {
      if (!(error instanceof PermError || error instanceof TempError)) {
        throw error;
      }
      failures.push(error);
      complain(`${domain}: ${error.message}`);
    }
  }
  if (failures.length === 0) return results;
  // Trying again helps only if it would help with all of them.
  return failures.some((failure) => failure instanceof PermError)
    ? EXIT.wrong
    : EXIT.temporary;
}

/** @throws {PermError} if the networks cover too much of the Internet */
function refuseWorld(networks: readonly Sourced[]): void {
  const widest = excess(networks);
  if (widest === undefined) return;
  const { network, origins } = widest;
  const most = network.family === 4 ? "an IPv4 /8" : "an IPv6 /16";
  throw new PermError(
    `would whitelist too much of the Internet: more addresses than ${most} ` +
      `has; the widest network is ${formatNetwork(network)} (${origins[0]})`,
  );
}

function summary({ domain, networks, lookups }: Result): string {
  return `${domain}: ${count(networks)} (${lookups} of 10 look-ups)`;
}

function count({ length }: readonly Sourced[]): string {
  return `${length} network${length === 1 ? "" : "s"}`;
}

/** The whitelist file's text. */
function render(
  results: readonly Result[],
  networks: readonly Sourced[],
  made: string,
  now: Date,
): string {
  const warnings = results.flatMap(({ domain, warnings }) =>
    warnings.map((warning) => `${domain}: ${warning}`)
  );
  const header = [
    `Made by "${made}"`,
    `on ${now.toISOString().replace(/\.\d+/, "")}. Do not edit: make it again.`,
    "It counts when whitelist.files in greylist.config.ts names it.",
    ...results.map(summary),
    `In all: ${count(networks)}`,
    ...warnings,
  ];
  const lines = networks.map(({ network, origins }) =>
    `${formatNetwork(network)}  # ${origins.join("; ")}`
  );
  return [...header.map((line) => `# ${line}`), ...lines, ""].join("\n");
}

/** @throws {UsageError} if the text is not a domain of two labels or more */
function parseDomain(text: string): string {
  const domain = text.toLowerCase().replace(/\.$/, "");
  const good = isName(domain) && /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/.test(domain);
  if (!good || /\.[0-9]+$/.test(domain)) {
    throw new UsageError(
      `${printable(text)}: expected a domain such as example.com ` +
        "(xn--... for names beyond ASCII)",
    );
  }
  return domain;
}

function parseServerOption(text: string): Server {
  const server = parseServer(text);
  if (server === undefined) {
    throw new UsageError(
      `--server: ${printable(text)}: expected HOST, HOST:PORT or [IPV6]:PORT`,
    );
  }
  return server;
}

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/**
 * Writes a file whole or not at all, also if the machine crashes. Mode and owner
 * stay those of the old file.
 *
 * @throws {UsageError} if the path cannot be that of a file
 * @throws {TemporaryError} if the disk does not take it
 */
function replaceFile(output: string, text: string): void {
  let temporary: string | undefined;
  try {
    const old = statIfThere(output);
    if (old !== undefined && !old.isFile) {
      throw new UsageError("not a regular file");
    }
    // A symbolic link stays one: what it points to is replaced.
    const path = old === undefined ? output : Deno.realPathSync(output);
    const dir = dirname(path);
    temporary = Deno.makeTempFileSync({ dir, prefix: `.${basename(path)}.` });
    using file = Deno.openSync(temporary, { write: true });
    let rest = new TextEncoder().encode(text);
    while (rest.length > 0) rest = rest.subarray(file.writeSync(rest));
    if (old !== undefined) Deno.chownSync(temporary, old.uid, old.gid);
    Deno.chmodSync(temporary, (old?.mode ?? 0o644) & 0o777);
    file.syncSync();
    Deno.renameSync(temporary, path);
    temporary = undefined;
    using directory = Deno.openSync(dir);
    directory.syncSync();
  } catch (error) {
    if (temporary !== undefined) Deno.removeSync(temporary);
    // Deno adds the system call and its paths to the message.
    const why = (error as Error).message.replace(/ \(os error.*$/s, "");
    const message = `--output: ${printable(output)}: ${why}`;
    throw isWrongPath(error)
      ? new UsageError(message)
      : new TemporaryError(message);
  }
}

function statIfThere(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether an error says that the path was chosen wrongly. */
function isWrongPath(error: unknown): boolean {
  return [
    UsageError,
    Deno.errors.NotFound,
    Deno.errors.NotADirectory,
    Deno.errors.PermissionDenied,
  ].some((kind) => error instanceof kind);
}

function print(text: string): void {
  const output = new Output();
  output.line(text.replace(/\n$/, ""));
  output.flush();
}

function complain(message: string): void {
  console.error(`greylist spf: ${message}`);
}

if (import.meta.main) Deno.exit(await run(Deno.args));
