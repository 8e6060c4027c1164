import { assertEquals } from "@std/assert";
import { checkMatch } from "../../../lib/commands/check/match.ts";
import { resolveConfig } from "../../../lib/config/resolve.ts";

/** Findings as `kind text`, for some prefix lengths beside the defaults. */
function look(match: { ipv4?: number; ipv6?: number }): string[] {
  const config = resolveConfig({ baseDir: "/x", match });
  return checkMatch(config.match).map(({ kind, text }) => `${kind} ${text}`);
}

Deno.test("check match: what is not questioned", () => {
  for (
    const match of [{}, { ipv4: 16, ipv6: 32 }, { ipv4: 32, ipv6: 64 }]
  ) assertEquals(look(match), []);
});

Deno.test("check match: prefixes that make one client of very many", () => {
  assertEquals(look({ ipv4: 15 }), [
    "warn match.ipv4 15: all of a /15 is one client, and one retry lets it " +
    "in: is that meant? (expected 16 or more)",
  ]);
  assertEquals(look({ ipv6: 31 }), [
    "warn match.ipv6 31: all of a /31 is one client, and one retry lets it " +
    "in: is that meant? (expected 32 or more)",
  ]);
  // 24 was meant, and 64.
  assertEquals(look({ ipv4: 2, ipv6: 6 }).length, 2);
});

Deno.test("check match: a prefix that makes many clients of one", () => {
  assertEquals(look({ ipv6: 65 }), [
    "warn match.ipv6 65: a sender that retries from another address of its " +
    "/64 is deferred again: is that meant? (expected 64 or less)",
  ]);
  assertEquals(look({ ipv6: 128 }).length, 1);
});
