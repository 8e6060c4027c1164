/**
 * A name server for `deno task spf` and `deno task pools`.
 *
 * @module
 */

import { programPath } from "./need.ts";
import { freePort, startServer, waitFor } from "./process.ts";
import { emptyDir, writeFile } from "./root.ts";

/**
 * Starts unbound on the loopback. It knows nothing of the world: the answer to
 * any name outside its zones is SERVFAIL.
 *
 * @param zones the text of each zone file, by the name of the zone; "" is that of
 * all names
 * @param options further lines for unbound's section "server"
 */
export async function startUnbound(
  zones: Readonly<Record<string, string>>,
  options: readonly string[] = [],
): Promise<AsyncDisposable & { port: number }> {
  const dir = emptyDir("unbound");
  const port = freePort();
  const authoritative = Object.entries(zones).map(([name, text]) => {
    const file = writeFile(`unbound/${name}.zone`, text);
    return `auth-zone:\n  name: "${name}."\n  zonefile: "${file}"\n`;
  });
  const config = writeFile(
    "unbound/unbound.conf",
    `server:
  directory: "${dir}"
  chroot: ""
  username: ""
  pidfile: ""
  interface: 127.0.0.1@${port}
  interface: ::1@${port}
  do-daemonize: no
  use-syslog: no
  module-config: "iterator"
${options.map((line) => `  ${line}\n`).join("")}forward-zone:
  name: "."
  forward-addr: 127.0.0.1@9
${authoritative.join("")}remote-control:
  control-enable: no
`,
  );
  const errors = writeFile("unbound/stderr", "");
  const server = startServer(
    [programPath("unbound"), "-d", "-c", config],
    errors,
  );
  try {
    // It says so when it has bound all addresses and read all zones.
    await waitFor(
      `unbound on port ${port}`,
      () => Deno.readTextFileSync(errors).includes("start of service"),
    );
  } catch (error) {
    await server[Symbol.asyncDispose]();
    const said = Deno.readTextFileSync(errors);
    throw new Error(`${(error as Error).message}: ${said}`);
  }
  return { port, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
