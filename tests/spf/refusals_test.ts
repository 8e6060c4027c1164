import { assertEquals } from "@std/assert";
import { parseNetwork } from "../../lib/address.ts";
import { exceptionsTo, type Refusal } from "../../lib/spf/refusals.ts";

/** Terms that refuse; what is no network is a term that is not looked up. */
function refusalsOf(terms: readonly string[]): Refusal[] {
  return terms.map((text) => ({ text, network: parseNetwork(text), path: [] }));
}

Deno.test("spf refusals: what is refused in a network that passes", () => {
  const cases: [refusals: string[], exceptions: string[] | undefined][] = [
    [[], []],
    // The whole network is refused.
    [["192.0.2.0/24"], undefined],
    [["192.0.0.0/16"], undefined],
    [["exists:x.example", "192.0.2.0/24"], undefined],
    // A part of it, or perhaps a part of it.
    [["192.0.2.7", "192.0.2.128/25"], ["192.0.2.7", "192.0.2.128/25"]],
    [["ptr", "a:x.example"], ["ptr", "a:x.example"]],
    // Nothing of it.
    [["198.51.100.0/24", "2001:db8::/32"], []],
    [["198.51.100.0/24", "mx", "192.0.2.7"], ["mx", "192.0.2.7"]],
  ];
  for (const [terms, expected] of cases) {
    const found = exceptionsTo(
      parseNetwork("192.0.2.0/24")!,
      refusalsOf(terms),
    );
    assertEquals(found?.map(({ text }) => text), expected, terms.join(" "));
  }
});
