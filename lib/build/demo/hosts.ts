/**
 * The demo with several MX hosts: each is a set of namespaces of this machine,
 * with `greylist serve` in it, and the base directory is a GlusterFS volume
 * between them.
 *
 * @module
 */

import { join } from "@std/path";
import { TemporaryError } from "../../commands/command.ts";
import { sleep } from "../../system/sleep.ts";
import { Cluster } from "../hosts/glusterfs.ts";
import { type Host, publicAddress } from "../hosts/hosts.ts";
import { enterNetwork } from "../hosts/network.ts";
import { Client } from "./client.ts";
import { HOST_CONTACTS, type HostContact } from "./contacts.ts";
import { difference, labelled, verdictOf } from "./screen.ts";
import { converse, paint, showFile, tell } from "./show.ts";

const PORT = 25;

/** The entry of the network that the sender is in. */
const ENTRY = "10.78.0.0_24";

/** How long a server or a line of its log is waited for, in milliseconds. */
const PATIENCE = 20_000;

/** The directories and the binary of the demo. */
export interface Made {
  /** A directory that goes with the demo. */
  readonly scratch: string;
  /** The base directory of the binary. */
  readonly base: string;
  readonly binary: string;
  readonly nextProgram: string;
}

/**
 * Tells the story.
 *
 * @returns a line for each thing that is not as it has to be
 * @throws {Error} if the hosts do not come up
 */
export async function showHosts(made: Made): Promise<string[]> {
  const { scratch, base, binary, nextProgram } = made;
  console.log(
    "Bringing up three hosts on this machine: two MX hosts and an arbiter, with a\n" +
      "GlusterFS volume between them (some 15 seconds) ...",
  );
  const dir = join(scratch, "hosts");
  await Deno.mkdir(dir);
  await using cluster = await Cluster.up(dir, base);
  const logs: string[] = [];
  for (const number of [1, 2]) {
    const host = cluster.host(number);
    const log = logs[number] = join(scratch, `log${number}`);
    const place = `${publicAddress(number)}:${PORT}`;
    host.start([binary, "serve", place, "--", nextProgram], log);
    await lineIn(log, 0, /^serve on=/);
  }
  console.log(
    `Each MX host runs "greylist serve", with a stand-in for qmail-smtpd behind it.
Shown are sender (>), server (<), the log of that host, and the file of the
sender's network as that host sees it; its size is how often that was accepted.`,
  );
  using _network = enterNetwork(cluster.hosts.pid);
  return await tell(
    HOST_CONTACTS,
    (contact) => {
      const { host } = contact;
      return show(cluster.host(host), logs[host], base, contact);
    },
    () => Deno.removeSync(entryAt(cluster.host(1), base)),
  );
}

/** The path of the entry in the base directory of a host. */
function entryAt(host: Host, base: string): string {
  return `/proc/${host.pid}/root${base}/${ENTRY}`;
}

/** Makes one connection and shows what comes of it. */
async function show(
  host: Host,
  log: string,
  base: string,
  contact: HostContact,
): Promise<string[]> {
  const { commands, codes, verdict, size, meaning, handedOver } = contact;
  console.log(`\n${paint("title", contact.introduction)}`);
  await sleep(contact.wait * 1000);
  const logged = Deno.statSync(log).size;
  const client = await Client.connect(PORT, publicAddress(host.number));
  const replies = await converse(client, commands);
  client.close();

  const line = await lineIn(log, logged, /^(?:error )?(?:defer|pass) /);
  for (const part of labelled("log: ", line)) console.log(part);
  const enter = ["nsenter", "--target", String(host.pid), "--mount", "--"];
  await showFile(enter, base, ENTRY, meaning);

  const seen = replies.map((reply) => reply.slice(0, 3)).join(" ");
  const isStandIn = (replies[0] ?? "").includes("stand-in");
  const entry = entryAt(host, base);
  return [
    difference("replies", seen, codes),
    difference("log", verdictOf(line), verdict),
    difference("size of the file", Deno.statSync(entry).size, size),
    difference(
      "who answers",
      isStandIn ? "the stand-in" : "greylist",
      handedOver ? "the stand-in" : "greylist",
    ),
  ].filter((text) => text !== undefined);
}

/**
 * Waits for the first line of a log behind an offset that is of a kind.
 *
 * @throws {TemporaryError} if none comes
 */
async function lineIn(
  log: string,
  offset: number,
  kind: RegExp,
): Promise<string> {
  const end = Date.now() + PATIENCE;
  let text = "";
  while (Date.now() < end) {
    try {
      text = Deno.readTextFileSync(log).slice(offset);
    } catch {
      // Not yet there.
    }
    const lines = text.split("\n").slice(0, -1);
    const line = lines.find((line) => kind.test(line));
    if (line !== undefined) return line;
    await sleep(20);
  }
  throw new TemporaryError(`no line ${kind} in the log: ${text.trim()}`);
}
