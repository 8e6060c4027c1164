/**
 * What qmail's control files say about this host.
 *
 * @module
 */

import type { Environment } from "../peer.ts";
import { readRegularFile } from "../system/file.ts";

/** The control files that may name this host; the first that exists counts. */
export function greetingFiles(controlDir: string): string[] {
  return [`${controlDir}/smtpgreeting`, `${controlDir}/me`];
}

/**
 * The name of this host in the banner, from the same files as in qmail-smtpd(8):
 * the control file `smtpgreeting`, else `me`. If neither can be read, the name is
 * TCPLOCALHOST, which tcpserver sets.
 *
 * @param read gives a file's text, or throws
 */
export function greetingName(
  controlDir: string,
  env: Environment,
  read: (path: string) => string = readRegularFile,
): string {
  for (const path of greetingFiles(controlDir)) {
    try {
      // In smtpgreeting, other words may follow the name.
      const text = read(path);
      // A power failure may leave zero bytes in a file. They would end the value of
      // an environment variable.
      const [name] = text.trimStart().split(/[\s\0]/, 1);
      if (name !== "") return name;
    } catch {
      // Then the next file counts.
    }
  }
  return env("TCPLOCALHOST") || "localhost";
}
