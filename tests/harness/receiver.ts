/**
 * A real mail server behind greylist that keeps every delivery as a file of its
 * own, so that a test can count and compare them byte by byte.
 *
 * @module
 */

import { programPath } from "./need.ts";
import { run } from "./process.ts";
import { emptyDir, ROOT, writeFile } from "./root.ts";

/** Programs that {@linkcode openReceiver} needs; it also needs root. */
export const RECEIVER_PROGRAMS = ["exim4", "openssl"] as const;

/** One message as one recipient has it. */
export interface Delivery {
  /** The envelope's sender, empty for the null sender. */
  readonly from: string;
  readonly to: string;
  readonly header: string;
  /** What follows the header's empty line, with LF as line end. */
  readonly body: Uint8Array;
}

/** The server and what has arrived. */
export interface Receiver {
  /** What to run for a connection; it speaks SMTP on standard input and output. */
  readonly command: string[];
  /** How many messages have arrived. */
  count(): number;
  /** The recipient of each of them. */
  recipients(): string[];
  deliveries(): Delivery[];
}

/** Starts with an empty mailbox. */
export async function openReceiver(): Promise<Receiver> {
  const dirs = ["spool", "log", "mail"].map((name) =>
    emptyDir(`receiver/${name}`)
  );
  const pem = await certificate();
  const config = writeFile("receiver/exim.conf", configuration(pem));
  const { code, stderr } = await run(["chown", "Debian-exim", pem, ...dirs]);
  if (code !== 0) throw new Error(stderr);
  const inbox = `${ROOT}/receiver/mail/new`;
  const names = () => {
    try {
      return [...Deno.readDirSync(inbox)].map(({ name }) => name);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  };
  return {
    command: [programPath("exim4"), "-C", config, "-bs"],
    count: () => names().length,
    recipients: () =>
      names().map((name) => {
        using file = Deno.openSync(`${inbox}/${name}`);
        const start = new Uint8Array(1024);
        const length = file.readSync(start) ?? 0;
        const header = new TextDecoder().decode(start.subarray(0, length));
        return fieldOf(header, "Envelope-to");
      }),
    deliveries: () => names().map((name) => readDelivery(`${inbox}/${name}`)),
  };
}

/** A key and a self-signed certificate, in one file. */
async function certificate(): Promise<string> {
  const path = `${ROOT}/receiver/tls.pem`;
  const { code, stderr } = await run([
    ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"],
    ...["-subj", "/CN=mta.example", "-days", "2"],
    ...["-keyout", path, "-out", `${path}.crt`],
  ]);
  if (code !== 0) throw new Error(stderr);
  const text = Deno.readTextFileSync(`${path}.crt`);
  Deno.writeTextFileSync(path, text, { append: true });
  return path;
}

function configuration(pem: string): string {
  return `primary_hostname = mta.example
spool_directory = ${ROOT}/receiver/spool
log_file_path = ${ROOT}/receiver/log/%slog
domainlist local_domains = *
acl_smtp_rcpt = accept
acl_smtp_data = accept
deliver_drop_privilege
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = ${pem}
# A session may bring more messages than are delivered at once by default.
smtp_accept_queue_per_connection = 0
keep_environment =
begin routers
mailbox:
  driver = accept
  transport = mailbox
begin transports
mailbox:
  driver = appendfile
  directory = ${ROOT}/receiver/mail
  maildir_format
  envelope_to_add
  return_path_add
`;
}

function readDelivery(path: string): Delivery {
  const bytes = Deno.readFileSync(path);
  let end = 0;
  while (bytes[end] !== 10 || bytes[end + 1] !== 10) end++;
  const header = new TextDecoder().decode(bytes.subarray(0, end + 1));
  return {
    from: fieldOf(header, "Return-path"),
    to: fieldOf(header, "Envelope-to"),
    header,
    body: bytes.subarray(end + 2),
  };
}

function fieldOf(header: string, name: string): string {
  return new RegExp(`^${name}: <?(.*?)>?$`, "mi").exec(header)?.[1] ?? "?";
}
