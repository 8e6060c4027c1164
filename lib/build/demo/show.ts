/**
 * Tells a story: shows what is said, the entry's file, and how it all ended.
 *
 * @module
 */

import { EXIT } from "../../exit.ts";
import type { Client } from "./client.ts";
import { type Contact, DELAY } from "./contacts.ts";
import { exchange, labelled } from "./screen.ts";

// NO_COLOR counts when it is set and not empty (no-color.org).
const colour = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");

const STYLES = { title: 1, bad: 31, good: 32, later: 33 } as const;

/** Text in a colour, or bold, on a terminal. */
export function paint(style: keyof typeof STYLES, text: string): string {
  return colour ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;
}

/** Shows a command and its reply, the latter in the colour of its code. */
function showExchange(command: string | undefined, reply: string | undefined) {
  const style = reply?.startsWith("4") ? "later" : "good";
  for (const line of exchange(command, reply)) {
    console.log(line.replace(/< \d.*$/, (text) => paint(style, text)));
  }
}

/** Speaks, and shows the replies as they come. */
export async function converse(client: Client, commands: readonly string[]) {
  const replies: string[] = [];
  for (const command of [undefined, ...commands]) {
    const reply = command === undefined
      ? await client.reply()
      : await client.say(command);
    showExchange(command, reply);
    if (reply === undefined) break;
    replies.push(reply);
  }
  return replies;
}

/**
 * Shows what `ls -l` says about an entry.
 *
 * @param enter what runs a program where the directory is
 * @param meaning what the size of the file says
 */
export async function showFile(
  enter: readonly string[],
  directory: string,
  name: string,
  meaning: string,
): Promise<void> {
  const line = ["sh", "-c", 'cd "$0" && ls -l "$1"', directory, name];
  const [program, ...args] = [...enter, ...line];
  const { stdout } = await new Deno.Command(program, {
    args,
    env: { LC_ALL: "C" },
    stderr: "inherit",
  }).output();
  const file = new TextDecoder().decode(stdout).trimEnd();
  const parts = labelled("file:", `${file} (${meaning})`);
  for (const part of parts) console.log(part);
}

/** How often a story is begun at most. */
const BEGINNINGS = 10;

/**
 * Makes the connections of a story one after another. The second has to come too
 * early. If the machine was too busy for that, the story begins again.
 *
 * @param show makes one connection; returns a line for each thing that was not as
 * it has to be
 * @param forget removes the entry
 * @returns all these lines
 */
export async function tell<T extends Contact>(
  contacts: readonly T[],
  show: (contact: T) => Promise<string[]>,
  forget: () => void,
  beginnings: number = BEGINNINGS,
): Promise<string[]> {
  const faults: string[] = [];
  const began = Date.now();
  for (const [i, contact] of contacts.entries()) {
    const found = await show(contact);
    const isLate = i === 1 && Date.now() - began >= DELAY * 1000;
    if (isLate && found.length > 0 && beginnings > 1) {
      console.log("\nThis machine was too slow for that. From the beginning:");
      forget();
      return tell(contacts, show, forget, beginnings - 1);
    }
    faults.push(
      ...found.map((fault) => `FAILED: connection ${i + 1}: ${fault}`),
    );
  }
  return faults;
}

/**
 * Says how it ended.
 *
 * @param faults a line for each thing that was not as it has to be
 * @returns the exit code
 */
export function finish(faults: readonly string[]): number {
  console.log();
  for (const fault of faults) console.log(paint("bad", fault));
  if (faults.length > 0) return 1;
  const text = "ok: replies, log and file were as they should be";
  console.log(paint("good", text));
  return EXIT.done;
}
