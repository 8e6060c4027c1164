import { assertEquals } from "@std/assert";
import {
  bannerOf,
  BUSY,
  defaultMessage,
  type Deferral,
  deferralRefusal,
  dialogueOptions,
  LOCAL_PROBLEM,
  STOPPING,
} from "../../lib/smtp/refusal.ts";

const DEFERRAL: Deferral = { seconds: 17, reason: "early", ip: "192.0.2.7" };
const DEFAULT = "Greylisted, please try again in 17 seconds";

Deno.test("refusal: each as a banner and in a dialogue", () => {
  const own = { status: "4.7.1", text: "later\r\n250 ok" } as const;
  const cases = [
    [LOCAL_PROBLEM, "4.3.0 Temporary local problem, please try again later"],
    [BUSY, "4.3.2 Too many connections, please try again later"],
    [STOPPING, "4.3.2 Shutting down, please try again later"],
    [own, "4.7.1 later 250 ok"],
  ] as const;
  for (const [refusal, said] of cases) {
    assertEquals(bannerOf(refusal), `421 ${said}\r\n`);
    assertEquals(dialogueOptions(refusal, "mx.example"), {
      hostname: "mx.example",
      deferral: `451 ${said}`,
    });
  }
});

Deno.test("refusal: the text is the configuration's", () => {
  assertEquals(defaultMessage(DEFERRAL), DEFAULT);
  const given: Deferral[] = [];
  const message = (deferral: Deferral) => {
    given.push(deferral);
    return "later";
  };
  const failed = (error: unknown) => {
    throw error;
  };
  assertEquals(
    deferralRefusal(message, DEFERRAL, failed),
    { status: "4.7.1", text: "later" },
  );
  assertEquals(given, [DEFERRAL]);
});

Deno.test("refusal: a function that fails, or gives no text", () => {
  const cases: [() => unknown, string][] = [
    [() => {
      throw new Error("no luck");
    }, "no luck"],
    [() => undefined, "expected a text"],
    [() => 5, "expected a text"],
    [() => Promise.resolve("later"), "expected a text"],
  ];
  for (const [message, reason] of cases) {
    const errors: unknown[] = [];
    const refusal = deferralRefusal(
      message as () => string,
      DEFERRAL,
      (error) => errors.push(error),
    );
    assertEquals(refusal, { status: "4.7.1", text: DEFAULT });
    assertEquals(errors.map((error) => (error as Error).message), [reason]);
  }
});
