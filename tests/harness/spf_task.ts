/**
 * `deno task spf`, and names in the DNS that it is asked for: good records, and each
 * fault that a record can have.
 *
 * @module
 */

import { type Outcome, run } from "./process.ts";
import { PROJECT } from "./project.ts";

export const NEEDS = { programs: ["unbound"] };

/** The strings of a TXT record with 120 networks, far above 512 bytes. */
function longRecord(): string {
  const terms = Array.from({ length: 120 }, (_, i) => `ip4:10.${i}.0.0/17`);
  const text = `v=spf1 ${terms.join(" ")} -all`;
  // Cut anywhere, as tools that publish keys and records do.
  return text.match(/.{1,200}/g)!.map((part) => `"${part}"`).join(" ");
}

function chain(length: number): string {
  const links = Array.from(
    { length: length - 1 },
    (_, i) =>
      `n${length}-${i + 1} TXT "v=spf1 include:n${length}-${
        i + 2
      }.spf.example -all"`,
  );
  return [
    `chain${length} TXT "v=spf1 include:n${length}-1.spf.example -all"`,
    ...links,
    `n${length}-${length} TXT "v=spf1 ip4:192.0.2.1 -all"`,
  ].join("\n");
}

/** Names that are refused, and names that are not answered. */
export const SPECIAL = [
  'local-zone: "refused.example." refuse',
  'local-zone: "dropped.example." deny',
];

export const ZONE = `$ORIGIN spf.example.
$TTL 60
@ SOA ns.spf.example. hostmaster.spf.example. 1 3600 600 86400 60
@ NS ns.spf.example.
ns A 127.0.0.1

good TXT "v=spf1 a mx/24//64 include:pool.spf.example ip6:2001:db8:ffff::/48 ~all"
good TXT "site-verification=1"
good A 192.0.2.129
good MX 10 mx1.spf.example.
good MX 20 mx2.spf.example.
mx1 A 198.51.100.7
mx1 AAAA 2001:db8:0:1::7
mx2 CNAME mx3
mx3 A 198.51.100.8
pool TXT "v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/26 ip4:192.0.2.192/26 -all"
other TXT "v=spf1 redirect=alias.spf.example"
alias CNAME pool
split TXT "v=spf1 ip4:203.0" ".113.0/24 -a" "ll"
long TXT ${longRecord()}
without TXT "v=spf1 -exists:%{i}.spf.example ip4:203.0.113.2 -all"
vague TXT "v=spf1 ip4:203.0.113.1 ptr exists:%{i}.spf.example -all"

none A 192.0.2.1
two TXT "v=spf1 -all"
two TXT "v=spf1 ip4:192.0.2.1 -all"
closed TXT "v=spf1 -all"
bare TXT "v=spf1"
asks TXT "v=spf1 exists:%{i}.spf.example -all"
garbage TXT "v=spf1 \\255\\027[2J\\010ip4 -all"
loop TXT "v=spf1 include:loop2.spf.example -all"
loop2 TXT "v=spf1 redirect=loop.spf.example"
void TXT "v=spf1 a:v1.spf.example mx:v2.spf.example a:none.nowhere.spf.example -all"
v1 TXT "a name without an address"
world TXT "v=spf1 +all"
halves TXT "v=spf1 include:zero.spf.example ip4:128.0.0.0/1 -all"
zero TXT "v=spf1 ip4:0.0.0.0/1 -all"
six TXT "v=spf1 ip6:2000::/15 -all"
eights TXT "v=spf1 include:eights2.spf.example ip4:12.0.0.0/8 -all"
eights2 TXT "v=spf1 ip4:10.0.0.0/8 -all"
ten TXT "v=spf1 ip4:10.0.0.0/8 -all"
eleven TXT "v=spf1 ip4:11.0.0.0/8 -all"
toservfail TXT "v=spf1 include:x.servfail.example -all"
torefused TXT "v=spf1 a:x.refused.example -all"
todropped TXT "v=spf1 redirect=x.dropped.example"
${chain(10)}
${chain(11)}
`;

interface Result extends Outcome {
  /** The command's own lines on standard error. */
  readonly told: readonly string[];
}

/** A file that the task made before. */
export const OLD = '# Made by "deno task spf old.example"\n192.0.2.1\n';

/** Runs `deno task spf`. */
export function spf(...args: string[]): Promise<Result> {
  return spfBehind([], ...args);
}

/** The same, started by another program. */
export async function spfBehind(
  before: string[],
  ...args: string[]
): Promise<Result> {
  const outcome = await run(
    [...before, Deno.execPath(), "task", "--quiet", "spf", ...args],
    { cwd: PROJECT },
  );
  // The line on where @std comes from is the task's.
  const told = outcome.stderr.split("\n")
    .filter((line) => line !== "" && !line.startsWith("@std comes"));
  return { ...outcome, told };
}

/** The lines of a whitelist file that are no comments. */
export function networks(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && line[0] !== "#");
}
