/**
 * What qmail's control files say about this host.
 *
 * @module
 */

import type { Environment } from "../peer.ts";
import { readRegularFile } from "../system/file.ts";

/** The control files that may have the name, the one that counts most first. */
export function greetingFiles(controlDir: string): string[] {
  return [`${controlDir}/smtpgreeting`, `${controlDir}/me`];
}

/**
 * The name of this host in the banner. It is where qmail-smtpd(8) takes it from:
 * the control file `smtpgreeting`, else `me`; else TCPLOCALHOST, as tcpserver
 * sets it.
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
      // After a power failure there may be zero bytes, which would end a variable.
      const [name] = text.trimStart().split(/[\s\0]/, 1);
      if (name !== "") return name;
    } catch {
      // Then the next file counts.
    }
  }
  return env("TCPLOCALHOST") || "localhost";
}
