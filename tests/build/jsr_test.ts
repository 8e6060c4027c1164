// What Deno does with @std of a registry that is not to be trusted, and with packages
// of a configuration. The packages are stand-ins: the real sources are on JSR alone,
// and so is what deno.lock has the hash of. So no content that a test can make agrees
// with deno.lock.

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { walk } from "@std/fs/walk";
import { chosenStd, LOCKS, path, ROOT, stdFlags } from "../../lib/build/std.ts";
import { type Package, publish, startRegistry } from "../harness/jsr.ts";
import { type Outcome, run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

const PROJECT = path(ROOT);

/** deno.lock, as far as it is used here. */
interface Lock {
  readonly specifiers: Record<string, string>;
  readonly jsr: Record<string, { integrity: string; dependencies?: string[] }>;
}

const lock: Lock = JSON.parse(Deno.readTextFileSync(LOCKS.jsr));

/** Runs Deno in the project or a copy, with a cache and a home of its own. */
function deno(
  args: readonly string[],
  dir: string,
  env: Record<string, string>,
  cwd: string = PROJECT,
): Promise<Outcome> {
  const own = {
    DENO_DIR: `${dir}/cache`,
    DENO_NO_UPDATE_CHECK: "1",
    HOME: dir,
    NO_COLOR: "1",
  };
  return run([Deno.execPath(), ...args], {
    cwd,
    env: { ...own, ...env },
    // Some tasks compile.
    patience: 300,
  });
}

/** The modules of @std that the project imports: `@std/fs` or `@std/fs/walk`. */
async function imported(): Promise<Set<string>> {
  const names = new Set<string>();
  for (const directory of ["lib", "tests"]) {
    const modules = walk(`${PROJECT}/${directory}`, { exts: [".ts"] });
    for await (const { path } of modules) {
      const text = await Deno.readTextFile(path);
      for (const [, name] of text.matchAll(/ from "(@std\/[^"]+)"/g)) {
        names.add(name);
      }
    }
  }
  return names;
}

/**
 * Stand-ins for all packages in deno.lock, of the same versions and with the same
 * dependencies. Their modules say on standard output that they run.
 */
async function standIns(): Promise<Package[]> {
  const names = await imported();
  return Object.entries(lock.jsr).map(([nv, { dependencies = [] }]) => {
    const [, name, version] = /^(@std\/\w+)@(.+)$/.exec(nv)!;
    const needs = dependencies.map((dependency) =>
      // Without a version if there is but one.
      Object.keys(lock.specifiers).find((specifier) =>
        specifier === dependency || specifier.startsWith(`${dependency}@`)
      )
    );
    const text = needs.map((need) => `import ${JSON.stringify(need)};\n`)
      .join("") + `console.log("${name} runs");\n`;
    const paths = [...names].filter((module) => module.startsWith(`${name}/`))
      .map((module) => `${module.slice(name.length)}.ts`);
    const modules = ["/mod.ts", ...paths].map((path) => [path, text]);
    return { name, version, modules: Object.fromEntries(modules) };
  });
}

/**
 * Packages that work, of the same versions: each module that the project imports is
 * a bundle of the one that these tests have.
 *
 * @param dir an existing directory
 */
async function working(dir: string): Promise<Package[]> {
  const names = [...await imported()];
  const entry = (name: string) => `${dir}/${name.replaceAll("/", "_")}.ts`;
  for (const name of names) {
    Deno.writeTextFileSync(entry(name), `export * from "${name}";\n`);
  }
  const flags = await stdFlags(chosenStd(), dir);
  const bundles = `${dir}/bundles`;
  const command = ["bundle", ...flags, `--outdir=${bundles}`];
  const { code, stderr } = await run(
    [Deno.execPath(), ...command, ...names.map(entry)],
  );
  assertEquals(code, 0, stderr);
  const { imports } = JSON.parse(Deno.readTextFileSync(`${PROJECT}/deno.json`));
  return Object.values<string>(imports).map((target) => {
    const [, name, version] = /^jsr:(@std\/\w+)@(.+)$/.exec(target)!;
    const modules: Record<string, string> = { "/mod.ts": "" };
    for (
      const module of names.filter((one) => `${one}/`.startsWith(`${name}/`))
    ) {
      const bundle = entry(module).replace(dir, bundles).replace(/ts$/, "js");
      const path = module.slice(name.length) || "/mod";
      modules[`${path}.ts`] = Deno.readTextFileSync(bundle);
    }
    return { name, version, modules };
  });
}

/** The failure of a command that found other content than the lock file says. */
function assertRefused(what: string, { code, stdout, stderr }: Outcome): void {
  assert(code !== 0, `${what}: ${stdout}${stderr}`);
  assertMatch(stderr, /Integrity check failed/i, what);
  assert(!stderr.includes("@std comes from npm"), what);
  assert(!/@std\/\w+ runs/.test(stdout), what);
}

Deno.test("@std of JSR is taken as the lock file has it, and not altered", async () => {
  using dir = temporary();
  await using jsr = startRegistry();
  const packages = await standIns();
  const own = JSON.parse(JSON.stringify(lock));
  for (const one of packages) {
    own.jsr[`${one.name}@${one.version}`].integrity = await publish(jsr, one);
  }
  const file = `${dir.path}/deno.lock`;
  Deno.writeTextFileSync(file, JSON.stringify(own));
  let caches = 0;
  const fetchAll = () => {
    const args = ["cache", `--lock=${file}`, "--frozen", "main.ts"];
    const env = { JSR_URL: jsr.url };
    return deno(args, `${dir.path}/${++caches}`, env);
  };
  const { code, stderr } = await fetchAll();
  assertEquals(code, 0, stderr);

  const log = packages.find(({ name }) => name === "@std/log")!;
  const [first, text] = Object.entries(log.modules).at(-1)!;
  const changed = `${text} `;
  const altered = { ...log, modules: { ...log.modules, [first]: changed } };
  const { integrity } = own.jsr[`${log.name}@${log.version}`];
  // The module alone.
  jsr.files.set(`/${log.name}/${log.version}${first}`, changed);
  assertRefused("the module", await fetchAll());
  // Its checksum in the description of the package as well.
  await publish(jsr, altered);
  assertRefused("the description", await fetchAll());
  // Deno writes this into its own copies of a description.
  await publish(jsr, altered, { lockfileChecksum: integrity });
  assertRefused("the description's own word", await fetchAll());
});

Deno.test("nothing in this project runs with an altered @std", async () => {
  using dir = temporary();
  await using jsr = startRegistry();
  for (const one of await standIns()) await publish(jsr, one);
  const config = JSON.parse(Deno.readTextFileSync(`${PROJECT}/deno.json`));
  const tasks = Object.keys(config.tasks).filter((name) =>
    // These two read the sources and load nothing.
    !["fmt", "lint"].includes(name)
  );
  const commands = [
    ...tasks.map((name) => ["task", name]),
    ["run", "-A", "main.ts", "version"],
    ["check", "main.ts"],
    ["test", "-A", "tests/decision_test.ts"],
    ["compile", "-A", "-o", `${dir.path}/greylist`, "main.ts"],
  ];
  for (const command of commands) {
    const what = command.join(" ");
    assertRefused(what, await deno(command, dir.path, { JSR_URL: jsr.url }));
  }
  assertEquals(JSON.parse(Deno.readTextFileSync(LOCKS.jsr)), lock);
});

Deno.test("a package that is not in the lock file is refused before it runs", async () => {
  using dir = temporary();
  await using jsr = startRegistry();
  const own = JSON.parse(JSON.stringify(lock));
  for (const one of await working(dir.path)) {
    own.jsr[`${one.name}@${one.version}`].integrity = await publish(jsr, one);
  }
  const ran = `${dir.path}/ran`;
  await publish(jsr, {
    name: "@other/package",
    version: "1.0.0",
    modules: {
      "/mod.ts": `Deno.writeTextFileSync(${JSON.stringify(ran)}, "");\n`,
    },
  });

  const copy = `${dir.path}/project`;
  Deno.mkdirSync(copy);
  const files = ["deno.json", "main.ts", "lib"].map((name) =>
    `${PROJECT}/${name}`
  );
  assertEquals((await run(["cp", "-R", ...files, copy])).code, 0);
  Deno.writeTextFileSync(`${copy}/deno.lock`, JSON.stringify(own));
  const config = `${copy}/greylist.config.ts`;
  const configure = (before: string, prefix: number) =>
    Deno.writeTextFileSync(
      config,
      `import { defineConfig } from "./lib/config.ts";\n${before}\n` +
        'export default defineConfig({ baseDir: "/nonexistent", ' +
        `match: { ipv4: ${prefix} } });\n`,
    );
  const start = async (...args: string[]) => {
    const env = { JSR_URL: jsr.url };
    const outcome = await deno(args, dir.path, env, copy);
    assertThrows(() => Deno.statSync(ran), Deno.errors.NotFound);
    return outcome;
  };

  for (
    const before of [
      'import "jsr:@other/package@1.0.0";',
      'await import(["jsr:@other", "package@1.0.0"].join("/"));',
    ]
  ) {
    configure(before, 24);
    const compiled = await start("task", "compile");
    assertEquals(compiled.code, 100, compiled.stderr);
    assertMatch(
      compiled.stderr,
      /\ngreylist\.config\.ts: imports a package that the lock file does not know: /,
    );
    // The last one is no task: deno.json has it frozen.
    for (const command of [["task", "info"], ["run", "-A", config]]) {
      const { code, stderr } = await start(...command);
      assert(code !== 0, stderr);
      assertMatch(stderr, /lockfile is out of date/);
    }
  }
  // Without a package, the fields are what is wrong.
  configure("", 33);
  for (const name of ["compile", "info"]) {
    const { code, stderr } = await start("task", name);
    assertEquals(code, 100, stderr);
    assertMatch(stderr, /match\.ipv4: 33: /);
  }
});

Deno.test("@std of npm is not taken if it is altered", async () => {
  using dir = temporary();
  await using npm = startRegistry();
  const name = "deno-std@1.3.1";
  const { npm: { [name]: { integrity } } } = JSON.parse(
    Deno.readTextFileSync(LOCKS.npm),
  );
  const tarball = `${npm.url}deno-std.tgz`;
  await Deno.mkdir(`${dir.path}/package/path`, { recursive: true });
  for (
    const [file, text] of [
      ["package.json", '{"name":"deno-std","version":"1.3.1"}'],
      ["path/mod.js", 'console.log("@std/path runs");\n'],
    ]
  ) Deno.writeTextFileSync(`${dir.path}/package/${file}`, text);
  const packed = `${dir.path}/deno-std.tgz`;
  await run(["tar", "-czf", packed, "-C", dir.path, "package"]);
  npm.files.set("/deno-std.tgz", Deno.readFileSync(packed));
  const digest = await crypto.subtle.digest(
    "SHA-512",
    Deno.readFileSync(packed),
  );
  const actual = `sha512-${
    btoa(String.fromCharCode(...new Uint8Array(digest)))
  }`;
  npm.files.set(
    "/deno-std",
    JSON.stringify({
      name: "deno-std",
      "dist-tags": { latest: "1.3.1" },
      versions: {
        "1.3.1": {
          name: "deno-std",
          version: "1.3.1",
          dist: { tarball, integrity: actual },
        },
      },
    }),
  );
  const main = `${dir.path}/main.ts`;
  Deno.writeTextFileSync(main, `import "npm:${name}/path/mod.js";\n`);
  const file = `${dir.path}/deno.lock`;
  const load = (integrity: string, cache: string) => {
    const own = {
      version: "5",
      specifiers: { [`npm:${name}`]: "1.3.1" },
      npm: { [name]: { integrity, tarball } },
    };
    Deno.writeTextFileSync(file, JSON.stringify(own));
    const args = ["run", "--no-config", `--lock=${file}`, "--frozen", main];
    const env = { NPM_CONFIG_REGISTRY: npm.url };
    return deno(args, `${dir.path}/${cache}`, env);
  };
  assertEquals((await load(actual, "own")).stdout, "@std/path runs\n");
  const { code, stdout, stderr } = await load(integrity, "locked");
  assert(code !== 0);
  assertEquals(stdout, "");
  assertMatch(stderr, /checksum did not match/);
});

Deno.test("without JSR and npm, a task ends with one line and 111", async () => {
  using dir = temporary();
  // Nothing listens there. NPM_CONFIG_REGISTRY says nothing of the packages that a
  // lock file has.
  const nowhere = "http://127.0.0.1:1/";
  const env = { JSR_URL: nowhere, HTTPS_PROXY: nowhere };
  const notice = "@std comes from npm: JSR does not answer here";
  for (const [std, before] of [["", [notice]], ["npm", []]] as const) {
    const args = ["run", "-A", "--no-lock", "lib/build/task.ts", "info"];
    const chosen: Record<string, string> = std === ""
      ? {}
      : { GREYLIST_STD: std };
    const { code, stderr } = await deno(args, dir.path, { ...env, ...chosen });
    assertEquals(code, 111, stderr);
    const lines = stderr.trimEnd().split("\n");
    assertMatch(
      lines.pop()!,
      /^greylist info: @std on npm: Failed caching npm package '.+': ./,
    );
    assertEquals<readonly string[]>(lines, before);
  }
});

Deno.test("an interrupt while @std is fetched leaves nothing behind", async () => {
  using dir = temporary();
  const asked = Promise.withResolvers<void>();
  const end = new AbortController();
  const { addr, finished } = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    signal: end.signal,
  }, () => {
    asked.resolve();
    return new Promise(() => {});
  });
  const silent = `http://127.0.0.1:${addr.port}/`;
  const tmp = `${dir.path}/tmp`;
  Deno.mkdirSync(tmp);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "lib/build/task.ts", "info"],
    cwd: PROJECT,
    env: {
      DENO_DIR: `${dir.path}/cache`,
      JSR_URL: silent,
      NPM_CONFIG_REGISTRY: silent,
      TMPDIR: tmp,
    },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await asked.promise;
  assertEquals([...Deno.readDirSync(tmp)].length, 1);
  child.kill("SIGTERM");
  assertEquals((await child.status).code, 143);
  assertEquals([...Deno.readDirSync(tmp)], []);
  end.abort();
  await finished;
});
