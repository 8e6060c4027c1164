import { assertEquals } from "@std/assert";
import { e2e } from "../../harness/need.ts";
import { run } from "../../harness/process.ts";
import { PROJECT } from "../../harness/project.ts";

e2e("what several hosts lack is one line with the packages", {
  root: true,
}, async () => {
  const script = `
    const { lackOf } = await import("./lib/build/hosts/glusterfs.ts");
    console.log(lackOf("gcc"));`;
  const { stdout } = await run(
    [Deno.execPath(), "eval", "--no-lock", "--no-config", script],
    { cwd: PROJECT, env: { PATH: "/nowhere", HOME: "/nowhere" } },
  );
  assertEquals(
    stdout,
    "not installed: glusterd, gluster, mount.glusterfs, ip, nsenter, unshare, " +
      "mount, gcc: apt-get install glusterfs-server iproute2 util-linux mount " +
      "gcc\n",
  );
});
