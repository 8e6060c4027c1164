import { assertEquals } from "@std/assert";
import { clean, compile } from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import {
  freePort,
  isListening,
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
