import { assertEquals } from "@std/assert";
import { evaluate, moduleUrl } from "../harness/evaluate.ts";

Deno.test("handover: variables beside those that are there", async () => {
  const { code, stdout, stderr } = await evaluate(`
    import { handOver } from ${
    JSON.stringify(moduleUrl("lib/system/handover.ts"))
  };
    Deno.env.set("GREYLIST_KEPT", "old");
    Deno.env.set("GREYLIST_SET", "old");
    const script = 'printf "%s|" "$GREYLIST_KEPT" "$GREYLIST_SET" "$GREYLIST_EMPTY" "\${GREYLIST_EMPTY+set}" "$1"; exit 9';
    const program = Object.freeze(["sh", "-c", script, "sh", "a  b"]);
    handOver(program, { GREYLIST_SET: "ne w", GREYLIST_EMPTY: "" });`);
  assertEquals([code, stdout, stderr], [9, "old|ne w||set|a  b|", ""]);
});

Deno.test("handover: what is not on PATH", async () => {
  const { code, stdout } = await evaluate(`
    import { handOver } from ${
    JSON.stringify(moduleUrl("lib/system/handover.ts"))
  };
    const { code, message } = handOver(["greylist-no-such-program", "x"]);
    console.log(code, message);`);
  assertEquals([code, stdout], [0, "2 exec: No such file or directory\n"]);
});

Deno.test("handover: the first on PATH, as execvp has it", async () => {
  const dir = Deno.makeTempDirSync({ prefix: "greylist-path-" });
  try {
    for (const name of ["one", "two"]) {
      Deno.mkdirSync(`${dir}/${name}`);
      const script = `#!/bin/sh\necho ${name}\n`;
      const path = `${dir}/${name}/greylist-test-program`;
      Deno.writeTextFileSync(path, script, { mode: 0o755 });
    }
    const first = (path: string) =>
      evaluate(`
        import { handOver } from ${
        JSON.stringify(moduleUrl("lib/system/handover.ts"))
      };
        Deno.env.set("PATH", ${JSON.stringify(path)} + ":/bin:/usr/bin");
        const { message } = handOver(["greylist-test-program"]);
        console.log(message);`);
    const { stdout: two } = await first(`${dir}/none:${dir}/two:${dir}/one`);
    assertEquals(two, "two\n");
    // One that may not be run is passed over.
    Deno.chmodSync(`${dir}/two/greylist-test-program`, 0o644);
    const { stdout: one } = await first(`${dir}/two:${dir}/one`);
    assertEquals(one, "one\n");
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
