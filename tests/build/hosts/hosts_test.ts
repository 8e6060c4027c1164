import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Hosts,
  publicAddress,
  storageAddress,
} from "../../../lib/build/hosts/hosts.ts";
import { enterNetwork } from "../../../lib/build/hosts/network.ts";
import "../../harness/libc.ts";
import { e2e } from "../../harness/need.ts";
import { waitFor } from "../../harness/process.ts";
import { emptyDir } from "../../harness/root.ts";

const NEEDS = {
  programs: ["bash", "hostname", "ip", "nsenter", "timeout", "unshare"],
  root: true,
  mounts: true,
};

const isGone = (pid: number) => {
  try {
    Deno.statSync(`/proc/${pid}`);
    return false;
  } catch {
    return true;
  }
};

/** Tries to reach a TCP port without a listener: a refusal counts as reached. */
const REACH = (address: string, seconds: number) => [
  "timeout",
  String(seconds),
  "bash",
  "-c",
  `exec 3<>/dev/tcp/${address}/9`,
];

e2e("hosts: they reach each other, and not when cut off", NEEDS, async () => {
  const dir = emptyDir("hosts/reach");
  const own = emptyDir("hosts/own");
  let pids: number[];
  {
    await using hosts = await Hosts.begin(dir, [own]);
    const [one, two] = [await hosts.boot(1), await hosts.boot(2)];
    pids = [hosts.pid, one.pid, two.pid];
    assertEquals((await one.must(["hostname"])).trim(), "h1");
    const reaches = async (address: string, seconds = 20) =>
      (await one.run(REACH(address, seconds))).stderr.includes("refused");
    assert(await reaches(storageAddress(2)));
    assert(await reaches(publicAddress(2)));
    await two.cut();
    assert(!await reaches(storageAddress(2), 2));
    assert(await reaches(publicAddress(2)));
    await two.heal();
    assert(await reaches(storageAddress(2)));

    await one.must(["sh", "-c", `echo one >${own}/file`]);
    assertEquals((await two.run(["ls", own])).stdout, "");
    assertEquals([...Deno.readDirSync(own)], []);

    await two.kill();
    await waitFor("the end of the host", () => isGone(pids[2]));
    assert(!await reaches(publicAddress(2), 2));
    await assertRejects(() => one.must(["false"]), Error, "host 1: false: 1");
    const again = await hosts.boot(2);
    pids.push(again.pid);
    assert(await reaches(publicAddress(2)));
  }
  for (const pid of pids) assert(isGone(pid), `${pid}`);
});

e2e("hosts: clients have any address", NEEDS, async () => {
  await using hosts = await Hosts.begin(emptyDir("hosts/clients"), []);
  const host = await hosts.boot(1);
  await using _ = host.start(
    ["sleep", "60"],
    `${hosts.dir}/sleep`,
  );
  using _network = enterNetwork(hosts.pid);
  const listener = Deno.listen({ hostname: "10.200.1.2", port: 0 });
  const { port } = listener.addr;
  const accepted = listener.accept();
  await host.must(["bash", "-c", `exec 3<>/dev/tcp/10.200.1.2/${port}`]);
  const connection = await accepted;
  assertEquals(
    (connection.remoteAddr as Deno.NetAddr).hostname,
    publicAddress(1),
  );
  connection.close();
  listener.close();
});

e2e("hosts: nothing stays behind a program that is killed", NEEDS, async () => {
  const dir = emptyDir("hosts/killed");
  const module = new URL("../../../lib/build/hosts/hosts.ts", import.meta.url);
  const script = `const { Hosts } = await import(${
    JSON.stringify(module.href)
  });
    const hosts = await Hosts.begin(${JSON.stringify(dir)}, []);
    const host = await hosts.boot(1);
    host.start(["sleep", "600"], ${JSON.stringify(dir)} + "/sleep");
    console.log(JSON.stringify([hosts.pid, host.pid]));
    await new Promise((done) => setTimeout(done, 60_000));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", "--no-config", script],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const pids: number[] = JSON.parse(new TextDecoder().decode(value));
  assertEquals(pids.filter(isGone), []);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await waitFor("the end of all hosts", () => pids.every(isGone));
});
