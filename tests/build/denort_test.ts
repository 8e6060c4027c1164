import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  advice,
  cachedDenort,
  fetchDenort,
  HERE,
  lacksDenort,
  npmHasIt,
  untried,
} from "../../lib/build/denort.ts";
import { TemporaryError } from "../../lib/commands/command.ts";
import { temporary } from "../harness/temporary.ts";

const GOOD = { version: "2.4.2", arch: "x86_64", os: "linux" };

/** Runs something with other environment variables. */
async function withVariables(
  values: Readonly<Record<string, string>>,
  run: () => Promise<void>,
): Promise<void> {
  const before = Object.keys(values).map((name) =>
    [name, Deno.env.get(name)] as const
  );
  for (const [name, value] of Object.entries(values)) Deno.env.set(name, value);
  try {
    await run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

Deno.test("npmHasIt: one version on one machine", () => {
  assert(npmHasIt(GOOD));
  assert(!npmHasIt({ ...GOOD, version: "2.4.3" }));
  assert(!npmHasIt({ ...GOOD, arch: "aarch64" }));
  assert(!npmHasIt({ ...GOOD, os: "darwin" }));
});

Deno.test("lacksDenort: only the failure to get denort", () => {
  assert(lacksDenort(
    "Compile file:///g/greylist.js to greylist\n" +
      "error: Writing deno compile executable to temporary file 'greylist.tmp'\n\n" +
      "Caused by:\n    0: Setting up base binary.\n" +
      "    1: error sending request for url (denort-x86_64-unknown-linux-gnu.zip)",
  ));
  assert(!lacksDenort('error: Module not found "file:///g/greylist.js".'));
  assert(
    !lacksDenort(
      "error: Writing deno compile executable to temporary file 'greylist.tmp'" +
        "\n\nCaused by:\n    No space left on device (os error 28)",
    ),
  );
});

Deno.test("advice: one line with the reason and the ways out", () => {
  const other = { version: "2.9.6", arch: "aarch64", os: "linux" };
  const text = advice(other, "no route");
  for (const word of ["2.9.6", "aarch64", "DENORT_BIN", "2.4.2", "host"]) {
    assert(text.includes(word), word);
  }
  assert(text.includes("(no route)"), text);
  assertEquals(text.includes("\n"), false);
  // Nobody is told to use the Deno that runs.
  assert(!advice(GOOD, "no route").includes("use Deno"));
});

Deno.test("cachedDenort: Deno's own comes before npm's", {
  ignore: !npmHasIt(HERE),
}, async () => {
  using dir = temporary();
  const path = `${dir.path}/npm/registry/@vltpkg/cli-linux-x64/0.0.0-18`;
  Deno.mkdirSync(path, { recursive: true });
  Deno.writeTextFileSync(`${path}/vlt`, "none at all");
  await withVariables({ DENO_DIR: dir.path }, async () => {
    await assertRejects(
      () => cachedDenort(dir.path),
      TemporaryError,
      `${path}/vlt: its sha256 is `,
    );
    const release = `${dir.path}/dl/release/v2.4.2`;
    Deno.mkdirSync(release, { recursive: true });
    const zip = `${release}/denort-x86_64-unknown-linux-gnu.zip`;
    Deno.writeTextFileSync(zip, "");
    assertEquals(await cachedDenort(dir.path), undefined);
  });
});

Deno.test("fetchDenort: what Deno says of npm is in the error", {
  ignore: !npmHasIt(HERE),
}, async () => {
  using dir = temporary();
  const proxy = "http://127.0.0.1:1/";
  const unreachable = {
    DENO_DIR: dir.path,
    // No .npmrc of the user.
    HOME: dir.path,
    NPM_CONFIG_REGISTRY: proxy,
    HTTPS_PROXY: proxy,
    HTTP_PROXY: proxy,
    NO_PROXY: "",
  };
  await withVariables(unreachable, async () => {
    const { message } = await assertRejects(
      () => fetchDenort(dir.path, "no such host"),
      TemporaryError,
    );
    assertMatch(message, /had \(.*: Connection refused.*\): use a network/);
  });
});

Deno.test("untried: one line for a Deno that was not tried", () => {
  assertEquals(untried({ version: "2.4.2" }), undefined);
  assertEquals(
    untried({ version: "2.9.6" }),
    "Deno 2.9.6 was tried from source only: programs were tried with Deno 2.4.2",
  );
  assertEquals(
    untried({ version: "2.5.0" }),
    "Deno 2.5.0 was not tried: programs were tried with Deno 2.4.2",
  );
});
