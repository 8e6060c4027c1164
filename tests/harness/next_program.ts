/**
 * Programs to stand behind greylist.
 *
 * @module
 */

import { programPath } from "./need.ts";
import { run, waitFor } from "./process.ts";
import { emptyDir, ROOT, writeFile } from "./root.ts";

/** The banner of {@linkcode greeter}. */
export const NEXT = "220 next program ESMTP";

/**
 * A program that sends {@linkcode NEXT}, then repeats what it reads as replies
 * until its input ends.
 *
 * @param first a command of the shell in front
 */
export function greeter(first = ""): string[] {
  const path = writeFile(
    "greeter",
    `#!/bin/sh
${first}
printf '%s\\r\\n' '${NEXT}'
while read -r line; do
  printf '250 %s\\r\\n' "\${line%?}"
  case $line in QUIT*) exit;; esac
done
`,
    0o755,
  );
  return [path];
}

/** A real mail server that speaks SMTP on standard input and output. */
export interface Mta {
  readonly command: string[];
  /** All messages that arrived, as they are in the mailbox file. */
  mailbox(): string;
  /** Waits until a text has arrived in the mailbox. */
  arrival(text: string): Promise<void>;
}

/** The programs that {@linkcode exim} needs; it also needs root. */
export const EXIM_PROGRAMS = ["exim4"] as const;

/**
 * Exim with a configuration, a queue and one mailbox of its own. The Exim of the
 * system is not touched.
 */
export async function exim(): Promise<Mta> {
  const dirs = ["spool", "log", "mail"].map((name) => emptyDir(`mta/${name}`));
  const { code, stderr } = await run(["chown", "Debian-exim", ...dirs]);
  if (code !== 0) throw new Error(stderr);
  const config = writeFile(
    "mta/exim.conf",
    `primary_hostname = mta.example
spool_directory = ${ROOT}/mta/spool
log_file_path = ${ROOT}/mta/log/%slog
domainlist local_domains = *
acl_smtp_rcpt = accept
acl_smtp_data = accept
deliver_drop_privilege
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
keep_environment =
begin routers
mailbox:
  driver = accept
  transport = mailbox
begin transports
mailbox:
  driver = appendfile
  file = ${ROOT}/mta/mail/inbox
  mode = 0644
`,
  );
  const mailbox = () => {
    try {
      return Deno.readTextFileSync(`${ROOT}/mta/mail/inbox`);
    } catch {
      return "";
    }
  };
  return {
    command: [programPath("exim4"), "-C", config, "-bs"],
    mailbox,
    arrival: async (text) => {
      await waitFor(
        `${JSON.stringify(text)} in the mailbox`,
        () => mailbox().includes(text),
      );
    },
  };
}

/** The result of a run of swaks. */
export interface Swaks {
  readonly code: number;
  /** The conversation as swaks shows it. */
  readonly text: string;
}

/** swaks ended after a RCPT that was refused, or with a message delivered. */
export const SWAKS = { delivered: 0, rcptRefused: 24 } as const;

/** Sends a message with swaks. */
export async function swaks(
  { port, hostname }: { port: number; hostname: string },
  body: string,
  options: readonly string[] = [],
): Promise<Swaks> {
  const { code, stdout, stderr } = await run([
    programPath("swaks"),
    ...["--server", hostname, "--port", String(port)],
    ...["--helo", "client.example", "--from", "a@client.example"],
    ...["--to", "b@mx.example", "--timeout", "20", "--body", body],
    ...options,
  ]);
  return { code, text: stdout + stderr };
}
