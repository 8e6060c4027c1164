import { assertEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { makePostfix } from "../../lib/build/postfix.ts";
import { findUser } from "../../lib/system/user.ts";
import { e2e, programPath } from "../harness/need.ts";
import "../harness/libc.ts";
import { run } from "../harness/process.ts";
import { emptyDir } from "../harness/root.ts";

e2e("Postfix takes its configuration, and the queue has the owners it wants", {
  programs: ["postfix"],
  root: true,
}, async () => {
  const program = programPath("postfix");
  const dir = emptyDir("postfix");
  const { env } = await makePostfix({
    program,
    dir,
    main: "message_size_limit = 4711\n",
    master: "smtp unix - - n - - smtp\n",
  });
  const etc = join(dir, "etc");
  const postconf = async (...args: string[]) => {
    const command = [join(dirname(program), "postconf"), "-c", etc, ...args];
    const { code, stdout, stderr } = await run(command, { env });
    assertEquals([code, stderr], [0, ""], command.join(" "));
    return stdout;
  };
  assertStringIncludes(await postconf("-n"), "message_size_limit = 4711");
  assertStringIncludes(await postconf("-M", "smtp"), "smtp");
  // These are the owners in Debian's postfix-files.
  const ownerOf = (name: string) => Deno.statSync(join(dir, name)).uid;
  const owner = findUser((await postconf("-h", "mail_owner")).trim())!.uid;
  assertEquals(
    ["data", "queue/incoming", "queue", "queue/pid"].map(ownerOf),
    [owner, owner, 0, 0],
  );
});
