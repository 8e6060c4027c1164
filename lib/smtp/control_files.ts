/**
 * What qmail's control files say about this host.
 *
 * @module
 */

import type { Environment } from "../peer.ts";
import { readRegularFile } from "../system/file.ts";

/**
 * The name of this host in the banner. It is where qmail-smtpd(8) takes it from:
 * the control file `smtpgreeting`, else `me`; else TCPLOCALHOST, as tcpserver
 * sets it.
 */
export function greetingName(controlDir: string, env: Environment): string {
  for (const file of ["smtpgreeting", "me"]) {
    try {
      // In smtpgreeting, other words may follow the name.
      const text = readRegularFile(`${controlDir}/${file}`);
      // After a power failure there may be zero bytes, which would end a variable.
      const [name] = text.trimStart().split(/[\s\0]/, 1);
      if (name !== "") return name;
    } catch {
      // Then the next file counts.
    }
  }
  return env("TCPLOCALHOST") || "localhost";
}
