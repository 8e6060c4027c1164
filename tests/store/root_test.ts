import { assertEquals, assertThrows } from "@std/assert";
import { adopt } from "../../lib/store/adopt.ts";
import { Store, StoreError } from "../../lib/store/store.ts";
import "../harness/libc.ts";
import { e2e } from "../harness/need.ts";
import { run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

// What only root can make, or root alone has to do.

e2e("store: a device is no entry", { root: true }, async () => {
  using dir = temporary();
  const store = new Store(dir.path);
  const path = `${dir.path}/192.0.2.0_24`;
  const { code } = await run(["mknod", path, "c", "1", "3"]);
  assertEquals(code, 0);
  const timeouts = { delay: 60, retryWindow: 3600, expireAfter: 86400 };
  for (
    const work of [
      () => store.decide("192.0.2.0_24", Date.now() / 1000, timeouts),
      () => store.read("192.0.2.0_24"),
    ]
  ) {
    const { message } = assertThrows(work, StoreError);
    assertEquals(message, `${path}: a device: expected a regular file`);
  }
  assertEquals([...Deno.readDirSync(dir.path)].length, 1);
});

e2e(
  "adopt: as root, the entry is the owner's, and nobody else's file opens",
  { root: true },
  () => {
    using dir = temporary();
    Deno.chmodSync(dir.path, 0o700);
    const owner = { uid: 65_500, gid: 65_501 };
    Deno.chownSync(dir.path, owner.uid, owner.gid);
    const place = { dir: dir.path, owner };
    const found = { accepted: 1, mtime: 1000 };
    // An entry that an administrator made as root by hand is replaced, as by the
    // store.
    Deno.writeTextFileSync(`${dir.path}/192.0.2.2`, "", { mode: 0o600 });
    for (const name of ["192.0.2.1", "192.0.2.2"]) {
      adopt(place, name, found, () => found);
      const { uid, gid, size } = Deno.lstatSync(`${dir.path}/${name}`);
      assertEquals([uid, gid, size], [65_500, 65_501, 1]);
    }
    // A hard link to another user's file, made by the owner of the directory.
    const secret = `${dir.path}/.secret`;
    Deno.writeTextFileSync(secret, "root's", { mode: 0o600 });
    Deno.linkSync(secret, `${dir.path}/192.0.2.3`);
    adopt(place, "192.0.2.3", found, () => found);
    assertEquals(Deno.readTextFileSync(secret), "root's");
    assertEquals(Deno.lstatSync(secret).uid, 0);
    assertEquals(Deno.lstatSync(`${dir.path}/192.0.2.3`).uid, 65_500);
    // And this process is root again.
    Deno.writeTextFileSync(`${dir.path}/root`, "");
    assertEquals(Deno.lstatSync(`${dir.path}/root`).uid, 0);
  },
);
