import { assertEquals } from "@std/assert";
import { tooWide } from "../../../lib/commands/check/too_wide.ts";
import { parseRule } from "../../../lib/whitelist/file.ts";

/** Whom a line has, if the line is too wide. */
function look(line: string): string | undefined {
  const rule = parseRule(line);
  if ("fault" in rule) throw new Error(`${line}: ${rule.fault}`);
  return tooWide(rule);
}

Deno.test("check too wide: networks", () => {
  const wide = (line: string, least: number) =>
    assertEquals(look(line), `${line}, more than a /${least}`);
  wide("0.0.0.0/0", 8);
  wide("10.0.0.0/7", 8);
  wide("::/0", 16);
  wide("2000::/15", 16);
  for (const line of ["10.", "192.0.2.1", "2001::/16", "2001:db8::/32"]) {
    assertEquals(look(line), undefined, line);
  }
});

Deno.test("check too wide: local IPv6 networks have no host of the Internet", () => {
  for (const line of ["fc00::/7", "fd00::/8", "fe80::/10"]) {
    assertEquals(look(line), undefined, line);
  }
  for (const line of ["fc00::/6", "fe00::/9"]) {
    assertEquals(look(line), `${line}, more than a /16`);
  }
});

Deno.test("check too wide: names", () => {
  for (const line of ["com", ".com", "*.com"]) {
    assertEquals(look(line), "every name that ends in .com");
  }
  for (const line of ["localhost", "example.org", ".example.org"]) {
    assertEquals(look(line), undefined, line);
  }
});

Deno.test("check too wide: expressions", () => {
  for (
    const line of [
      "/./",
      "/.*/",
      "/^/",
      "/$/",
      "/[a-z]/",
      "/\\w+\\.\\w+/",
      // Slips: an alternative of nothing, a part that may be missing.
      "/dsl|/",
      "/|dsl/",
      "/^mx|mail|/",
      "/(\\.example\\.org)?$/",
      "/^(mx\\d+\\.)*/",
    ]
  ) {
    assertEquals(
      look(line),
      "almost every name, even a.invalid and x1.test",
      line,
    );
  }
  for (
    const line of [
      "/mx/",
      "/dsl/",
      "/^mx\\d+\\.example\\.net$/",
      "/\\.example\\.(org|net)$/",
      "/^(.+\\.)?example\\.org$/",
      "/[0-9]/",
      "/^a\\./",
    ]
  ) assertEquals(look(line), undefined, line);
});

Deno.test("check too wide: no line of dialup-names", () => {
  const path = new URL(
    "../../../lib/whitelist/dialup-names",
    import.meta.url,
  );
  const lines = Deno.readTextFileSync(path).split("\n")
    .map((line) => line.split("#")[0].trim()).filter((line) => line !== "");
  assertEquals(lines.filter((line) => look(line) !== undefined), []);
});
