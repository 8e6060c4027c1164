import { assertEquals } from "@std/assert";
import { clean, compile, logLines } from "../harness/binary.ts";
import { DEFAULT_TIMEOUT } from "../harness/hanging.ts";
import { e2e, programPath } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { BASE, LOG, writeFile } from "../harness/root.ts";

e2e("wrapper: a client that has reset the connection starts no PROGRAM", {
  programs: ["perl"],
}, async () => {
  // Standard input is a connection that the other end has reset.
  const script = writeFile(
    "reset.pl",
    `use Socket;
socket(my $l, PF_INET, SOCK_STREAM, 0) or die; bind($l, sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($l, 1) or die;
socket(my $c, PF_INET, SOCK_STREAM, 0) or die; connect($c, getsockname($l)) or die;
accept(my $s, $l) or die;
setsockopt($c, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0)) or die; close($c);
select(undef, undef, undef, 0.1);
open(STDIN, "<&", $s) or die; open(STDOUT, ">&", $s) or die;
delete @ENV{qw(TCPREMOTEIP)};
exec @ARGV; die;
`,
  );
  const marker = writeFile("marker.sh", `echo started >${BASE}/started\n`);
  for (const level of [undefined, "DEBUG"] as const) {
    clean();
    const { code, stderr } = await run([
      programPath("perl"),
      script,
      await compile({ ...DEFAULT_TIMEOUT, log: { target: LOG, level } }),
      "/bin/sh",
      marker,
    ]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals([...Deno.readDirSync(BASE)].map(({ name }) => name), []);
    const lines = logLines().map((line) => line.replace(/^\S+ /, ""));
    const line = 'debug gone reason=error what="the client has gone"';
    assertEquals(lines, level === undefined ? [] : [line]);
  }
});
