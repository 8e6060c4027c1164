import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  bodyOf,
  bundleError,
  scriptOf,
  usesBytecode,
  usesMeta,
} from "../../lib/build/bundle.ts";

type Load = (name: string) => Promise<string>;

/** Stands in for import(). */
const load: Load = (name) => Promise.resolve(`<${name}>`);

type Scripted = ((load: Load) => Promise<Record<string, unknown>>)[];

Deno.test("scriptOf: a function that is told how to import", async () => {
  const bundle = 'async function $a(e){return[e,await import("./lib/commands/' +
    'mod.ts")]}if(import.meta.main){let e=()=>import("./greylist.config.ts");' +
    "Deno.exit(await $a(Deno.args,e))}export{$a as main};\n";
  const [start, config]: Scripted = (0, eval)(scriptOf(bundle, undefined));
  const { main } = await start(load);
  assertEquals(await (main as (x: string) => unknown)("x"), [
    "x",
    "<./lib/commands/mod.js>",
  ]);
  assertEquals(await config(load), "<./greylist.config.js>" as unknown);
});

Deno.test("scriptOf: a bundle of another form is refused", () => {
  const bundles = [
    "var main=1;",
    "export{e as other};",
    'import"./x.ts";export{e as main};',
    'var e=1;import{x}from"./x.ts";export{e as main};',
    'let e=()=>import("./new.ts");export{e as main};',
    "let e=import.meta.url;export{e as main};",
  ];
  for (const bundle of bundles) {
    assertThrows(() => scriptOf(bundle, undefined), Error, "bundle", bundle);
  }
});

Deno.test("scriptOf: the configuration is a part of it", async () => {
  const body = bodyOf(
    'function e(t){return t}var n=e({baseDir:"/b"}),r=await 1;' +
      "export{r as compiled,n as default,e};\n",
  );
  const script = scriptOf("var e=1;export{e as main};", body);
  const [start, config]: Scripted = (0, eval)(script);
  assertEquals(await start(load), { main: 1 });
  const { default: raw, compiled, e } = await config(load);
  assertEquals([raw, compiled], [{ baseDir: "/b" }, 1]);
  assertEquals((e as (x: number) => number)(2), 2);
  // Each time it is a module of its own, as strict as any.
  assertEquals((await config(load)).e === e, false);
  const loose = bodyOf(
    "var n=function(){return this}();export{n as default};",
  );
  const [, strict]: Scripted = (0, eval)(
    scriptOf("var e=1;export{e as main};", loose),
  );
  assertEquals((await strict(load)).default, undefined);
});

Deno.test("bodyOf: a configuration that needs to be a module stays one", () => {
  const bundles = [
    "var e=1;",
    'import"./x.ts";var e=1;export{e as default};',
    'import{x}from"node:os";var e=x();export{e as default};',
    'var t=1;\nimport n from"node:os";var e=n;export{e as default};',
    'var e=await import("node:os");export{e as default};',
    'var e=await import ("node:os");export{e as default};',
    "var e=import.meta.dirname;export{e as default};",
    'export*from"node:os";var e=1;export{e as default};',
    "var e=1;export default e;",
  ];
  for (const bundle of bundles) assertEquals(bodyOf(bundle), undefined, bundle);
});

Deno.test("usesMeta: what differs in the binary, not import.meta.main", () => {
  for (
    const text of [
      "import.meta.dirname",
      "import.meta",
      "import . meta.url",
      "import.meta.mainly",
      "import.meta.main||import.meta.url",
    ]
  ) assertEquals(usesMeta(`var e=${text};export{e as default};`), true, text);
  for (const text of ["import.meta.main", "x.meta", "e.import", '"meta"']) {
    assertEquals(usesMeta(`var e=${text};export{e as default};`), false, text);
  }
});

Deno.test("usesBytecode: only where node:vm is faster than the parser", () => {
  for (const version of ["2.4.2", "2.8.3", "1.46.0"]) {
    assertEquals(usesBytecode(version), true, version);
  }
  for (const version of ["2.9.0", "2.9.6", "2.10.1", "3.0.0"]) {
    assertEquals(usesBytecode(version), false, version);
  }
});

Deno.test("bundleError: a panic has a line on what to remove", () => {
  const { message } = bundleError(
    "Deno has panicked. This is a bug in Deno.\n\nthread 'main' panicked at " +
      "cli/tools/bundle/mod.rs:133:4:\ncalled `Result::unwrap()` on an `Err` " +
      "value: Exec format error (os error 8)\n",
  );
  assertMatch(message, /^deno bundle failed:\nDeno has panicked/);
  assertMatch(message.split("\n").at(-1)!, /dl\/esbuild-\* below DENO_DIR/);
  assertEquals(
    bundleError("error: Module not found\n").message,
    "deno bundle failed:\nerror: Module not found",
  );
});
