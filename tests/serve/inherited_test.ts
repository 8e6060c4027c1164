import { assertEquals } from "@std/assert";
import { clean, compile } from "../harness/binary.ts";
import { type Held, HOLDER_PROGRAMS, holding } from "../harness/holder.ts";
import { e2e } from "../harness/need.ts";
import {
  freePort,
  isListening,
  run,
  startServer,
  waitFor,
} from "../harness/process.ts";
import { ROOT, writeFile } from "../harness/root.ts";
import { withUser } from "../harness/serving.ts";
import { Client } from "../harness/smtp.ts";

e2e(
  "serve takes the sockets of LISTEN_FDS, and PROGRAM finds no trace of them",
  { programs: ["systemd-socket-activate"] },
  async () => {
    clean();
    const binary = await compile(
      withUser({ whitelist: { networks: ["127.0.0.0/24"] } }),
    );
    writeFile("activated.stderr", "");
    const port = freePort();
    const next = ["sh", "-c", "env | grep -c ^LISTEN_; ls /proc/self/fd"];
    await using _server = startServer([
      "systemd-socket-activate",
      `--listen=127.0.0.1:${port}`,
      binary,
      "serve",
      "--",
      ...next,
    ], `${ROOT}/activated.stderr`);
    await waitFor("the holder to listen", () => isListening(port));
    using client = await Client.connect(port);
    const lines = (await client.rest()).split("\n");
    assertEquals(lines[0], "0");
    // Standard input, output and error, and the folder that ls reads.
    assertEquals(lines.slice(1).filter((line) => line !== "").length, 4);
  },
);

const BAD: readonly (readonly [Held, string])[] = [
  ["connected", "LISTEN_FDS: descriptor 3: expected a listening TCP socket"],
  ["udp", "LISTEN_FDS: descriptor 3: expected a listening TCP socket"],
  ["file", "LISTEN_FDS: descriptor 3: expected a listening TCP socket"],
  ["closed", "LISTEN_FDS: descriptor 3: expected a listening TCP socket"],
];

e2e("serve refuses what LISTEN_FDS must not be, in one line", {
  programs: [...HOLDER_PROGRAMS],
}, async () => {
  const binary = await compile(
    withUser({ whitelist: { networks: ["127.0.0.0/24"] } }),
  );
  const attempt = (kind: Held, env?: Record<string, string>) =>
    run(
      holding([binary, "serve", "--", "true"], { port: freePort(), kind }),
      { env },
    );
  for (const [kind, what] of BAD) {
    const { code, stdout, stderr } = await attempt(kind);
    assertEquals([code, stdout, stderr], [
      100,
      "",
      `greylist serve: ${what}\n`,
    ], kind);
  }
  for (const LISTEN_FDS of ["x", "-1", "1e1", "0x1", ""]) {
    const { code, stderr } = await attempt("listening", { LISTEN_FDS });
    const what = "LISTEN_FDS: expected a number of descriptors";
    assertEquals([code, stderr], [100, `greylist serve: ${what}\n`]);
  }
});
