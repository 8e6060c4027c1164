import { assertEquals, assertMatch } from "@std/assert";
import { clean, compile, logLines } from "../harness/binary.ts";
import { type Held, HOLDER_PROGRAMS, holding } from "../harness/holder.ts";
import { e2e } from "../harness/need.ts";
import {
  descriptorsOf,
  freePort,
  isListening,
  processesOf,
  run,
  startServer,
  waitFor,
} from "../harness/process.ts";
import { ROOT, writeFile } from "../harness/root.ts";
import { logged, withUser } from "../harness/serving.ts";
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

for (const isLast of [true, false]) {
  const name = isLast ? "stops" : "goes on with the others";
  e2e(`serve ${name} if its socket is shut down by another process`, {
    programs: [...HOLDER_PROGRAMS],
  }, async () => {
    clean();
    const binary = await compile(withUser({}));
    const [port, own] = [freePort(), freePort()];
    const errors = writeFile("held.stderr", "");
    const places = isLast ? [] : [`127.0.0.1:${own}`];
    await using holder = startServer(
      holding([binary, "serve", ...places, "--", "true"], {
        port,
        again: true,
      }),
      errors,
    );
    await logged(/ serve on=/);
    const [pid] = await waitFor("serve", () => {
      const found = processesOf(binary);
      return found.length > 0 && found;
    });
    const held = Deno.readLinkSync(`/proc/${pid}/fd/3`);
    Deno.kill(holder.pid, "SIGUSR1");
    const line = await logged(/ serve what=.*shut down/);
    assertMatch(
      line,
      new RegExp(
        `serve what="127\\.0\\.0\\.1:${port}: another process has shut down ` +
          'this listening socket: expected a restart of the program that opened it"$',
      ),
    );
    if (!isLast) {
      // The descriptor is gone, so no event of it keeps the event loop busy.
      await waitFor(
        "the descriptor to be closed",
        () => !descriptorsOf(pid).includes(held),
      );
      using client = await Client.connect(own);
      assertMatch(await client.reply() ?? "", /^220 mx\.example /);
      Deno.kill(pid, "SIGTERM");
    }
    assertEquals(await holder.code, isLast ? 111 : 0);
    assertEquals(logLines().filter((line) => /shut down/.test(line)).length, 1);
    assertEquals(Deno.readTextFileSync(errors), "");
  });
}
