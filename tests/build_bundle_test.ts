import { assertEquals, assertThrows } from "@std/assert";
import { scriptOf } from "../lib/build/bundle.ts";

Deno.test("scriptOf: a function that is told how to import", async () => {
  const bundle = 'async function $a(e){return[e,await import("./lib/commands/' +
    'mod.ts")]}if(import.meta.main){let e=()=>import("./greylist.config.ts");' +
    "Deno.exit(await $a(Deno.args,e))}export{$a as main};\n";
  const script = (0, eval)(scriptOf(bundle));
  const main = await script((name: string) => Promise.resolve(`<${name}>`));
  assertEquals(await main("x"), ["x", "<./lib/commands/mod.js>"]);
});

Deno.test("scriptOf: what is no longer as it was is no script", () => {
  const bundles = [
    "var main=1;",
    "export{e as other};",
    'import"./x.ts";export{e as main};',
    'var e=1;import{x}from"./x.ts";export{e as main};',
    'let e=()=>import("./new.ts");export{e as main};',
    "let e=import.meta.url;export{e as main};",
  ];
  for (const bundle of bundles) {
    assertThrows(() => scriptOf(bundle), Error, "bundle", bundle);
  }
});
