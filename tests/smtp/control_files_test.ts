import { assertEquals } from "@std/assert";
import { greetingName } from "../../lib/smtp/control_files.ts";
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
