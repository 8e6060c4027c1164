import { assert, assertEquals } from "@std/assert";
import {
  advice,
  lacksDenort,
  npmHasIt,
  untried,
} from "../../lib/build/denort.ts";

const GOOD = { version: "2.4.2", arch: "x86_64", os: "linux" };

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

Deno.test("advice: one line with the three ways out", () => {
  const text = advice({ version: "2.9.6", arch: "aarch64", os: "linux" });
  for (const word of ["2.9.6", "aarch64", "DENORT_BIN", "2.4.2", "host"]) {
    assert(text.includes(word), word);
  }
  assertEquals(text.includes("\n"), false);
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
