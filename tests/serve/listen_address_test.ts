import { assertEquals } from "@std/assert";
import { formatSocketName } from "../../lib/system/socket.ts";
import { parseListenAddress } from "../../lib/serve/listen_address.ts";

/** An address and port as the log has them; `*` is every address. */
function read(text: string): string | undefined {
  const place = parseListenAddress(text);
  if (place === undefined) return undefined;
  const { address, port } = place;
  return address ? formatSocketName({ address, port }) : `*:${port}`;
}

Deno.test("listen address: what can be listened on", () => {
  for (
    const [text, expected] of [
      ["25", "*:25"],
      ["1", "*:1"],
      ["65535", "*:65535"],
      ["smtp", "*:25"],
      ["submission", "*:587"],
      ["0:25", "0.0.0.0:25"],
      ["0:smtp", "0.0.0.0:25"],
      ["0.0.0.0:25", "0.0.0.0:25"],
      ["192.0.2.1:25", "192.0.2.1:25"],
      ["[2001:DB8::0:1]:587", "[2001:db8::1]:587"],
      ["[::1]:submission", "[::1]:587"],
      ["[::]:25", "[::]:25"],
    ]
  ) {
    assertEquals(read(text), expected, text);
  }
});

Deno.test("listen address: what cannot", () => {
  for (
    const text of [
      "",
      "0",
      "00025",
      "025",
      "65536",
      "99999",
      "123456",
      "-1",
      "+25",
      "25 ",
      " 25",
      "2 5",
      "25\n",
      "1e3",
      "0x19",
      "smtps",
      "SMTP",
      "toString",
      "__proto__",
      "constructor",
      ":25",
      "192.0.2.1",
      "192.0.2.1:",
      "192.0.2:25",
      "192.0.2.256:25",
      "192.0.2.1:25:25",
      "192.0.2.0/24:25",
      "localhost:25",
      "mx.example:25",
      "::1:25",
      "2001:db8::1:25",
      "[::1]",
      "[::1]25",
      "[::1]:",
      "[]:25",
      "[192.0.2.1]:25",
      "[::1]:0",
      "[[::1]]:25",
      "[fe80::1%eth0]:25",
      "--help",
      "*:25",
    ]
  ) {
    assertEquals(read(text), undefined, JSON.stringify(text));
  }
});
