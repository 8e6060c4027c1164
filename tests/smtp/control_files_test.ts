import { assertEquals } from "@std/assert";
import { greetingName } from "../../lib/smtp/control_files.ts";
import { PEER_VARIABLES } from "../../lib/peer.ts";
import { emptyDir, writeFile } from "../harness/root.ts";

Deno.test("refusal: the name in the banner has no zero byte in it", () => {
  const dir = emptyDir("refusal");
  const name = () =>
    greetingName(dir, (variable) => `${variable.toLowerCase()}.example`);
  writeFile("refusal/me", "mx.example\0\0\n");
  assertEquals(name(), "mx.example");
  writeFile("refusal/smtpgreeting", "\0\0\0\0");
  assertEquals(name(), "mx.example");
  writeFile("refusal/me", "\0\0\0\0");
  assertEquals(name(), "tcplocalhost.example");
});

Deno.test("refusal: the first word of smtpgreeting, else of me, else TCPLOCALHOST", () => {
  const cases: [Record<string, string>, string | undefined, string][] = [
    [
      { smtpgreeting: "a.example ready\n", me: "b.example\n" },
      "c.example",
      "a",
    ],
    [{ smtpgreeting: " \n\ta.example\n", me: "b.example" }, "c.example", "a"],
    [{ smtpgreeting: " \n", me: "b.example\n" }, "c.example", "b"],
    [{ me: "b.example\n" }, "c.example", "b"],
    [{}, "c.example", "c"],
  ];
  for (const [files, host, expected] of cases) {
    const read = (path: string) => {
      const text = files[path.slice("/control/".length)];
      if (text === undefined) throw new Deno.errors.NotFound();
      return text;
    };
    const name = greetingName("/control", () => host, read);
    assertEquals(name, `${expected}.example`, JSON.stringify(files));
  }
});

Deno.test("refusal: without a name anywhere it is localhost", () => {
  for (const value of [undefined, ""]) {
    const asked: string[] = [];
    const env = (name: string) => {
      asked.push(name);
      return value;
    };
    const read = () => "";
    assertEquals(greetingName("/control", env, read), "localhost");
    // The binary may read these variables only.
    const known: readonly string[] = PEER_VARIABLES;
    assertEquals(asked.filter((name) => !known.includes(name)), []);
  }
});
