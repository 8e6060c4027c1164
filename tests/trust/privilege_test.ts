import { assert, assertEquals, assertMatch } from "@std/assert";
import { permissionsOf } from "../../lib/build/permissions.ts";
import type { Config, Path } from "../../lib/config.ts";
import { resolveConfig } from "../../lib/config/resolve.ts";
import {
  age,
  clean,
  compile,
  compileTask,
  configModule,
  entries,
  logLines,
} from "../harness/binary.ts";
import { e2e } from "../harness/need.ts";
import { greeter, NEXT } from "../harness/next_program.ts";
import { gone } from "../harness/process.ts";
import { BASE, CONTROL, LOG, ROOT, writeFile } from "../harness/root.ts";
import { assertOnlySmtp, ATTEMPT, burst } from "../harness/smtp.ts";
import { inetd, tcpserver } from "../harness/way_in.ts";

// What the compiled program may do, tried in the compiled program itself.

const NAME = "127.0.0.0_24";
const SESSION = ATTEMPT.join("\r\n") + "\r\n";
const PROBES = new URL("../harness/probes.ts", import.meta.url).href;

/** What denort keeps of the options of `deno compile`. */
interface Baked {
  readonly [name: string]: readonly string[] | boolean | null;
}

/** Reads the permissions back that lie in a compiled program. */
function baked(binary: string): Baked {
  // A byte a character. The last ones count; denort may have some of its own.
  const text = new TextDecoder("latin1").decode(Deno.readFileSync(binary));
  const at = text.lastIndexOf('"permissions":{');
  const match = /^"permissions":(\{[^{}]*\})/.exec(text.slice(at, at + 65536));
  assert(match !== null);
  return JSON.parse(match[1]);
}

e2e(
  "the permissions in the binary are those of its configuration",
  {},
  async () => {
    const config: Partial<Config> = {
      whitelist: { files: [`${ROOT}/white` as Path], env: ["TRUSTED"] },
    };
    const binary = await compile(config);
    const { read, write, env } = permissionsOf(
      resolveConfig({
        ...config,
        baseDir: BASE,
        controlDir: CONTROL,
        log: { target: LOG },
      }),
    );
    const { allow_import: _, ...permissions } = baked(binary);
    assertEquals(permissions, {
      prompt: false,
      allow_all: false,
      allow_read: read,
      allow_write: write,
      allow_env: env,
      // All of it.
      allow_ffi: [],
      allow_net: null,
      allow_run: null,
      allow_sys: null,
      // All of it, whatever Deno allows by default.
      deny_import: [],
      deny_read: null,
      deny_write: null,
      deny_env: null,
      deny_ffi: null,
      deny_net: null,
      deny_run: null,
      deny_sys: null,
    });
    assert(read.includes(BASE) && env.includes("TRUSTED"));
  },
);

/** The attempts that fail with another error than NotCapable. */
const OTHERWISE: Record<string, string> = {
  // "Module not found", since the module is not in the binary.
  "import http": "TypeError",
  "import https": "TypeError",
  "import file": "TypeError",
  // Gives ECONNREFUSED although a process listens there.
  "node:net": "Error",
};

/** Lines of a module that do something in the compiled program only. */
function atStart(port: number, code: string): string {
  const targets = { base: BASE, outside: `${ROOT}/outside/victim`, port };
  return `import { probe, probeLater, probeOpen } from ${
    JSON.stringify(PROBES)
  };
const targets = ${JSON.stringify(targets)};
const start = () => { if (Deno.build.standalone) { ${code} } };`;
}

function read(name: string): string {
  return Deno.readTextFileSync(`${BASE}/${name}`);
}

e2e("the program can open no file, socket or program through Deno", {
  programs: ["tcpserver"],
}, async (t) => {
  clean();
  const visitors: Deno.Conn[] = [];
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listening = (async () => {
    for await (const visitor of listener) visitors.push(visitor);
  })();
  const port = (listener.addr as Deno.NetAddr).port;
  const outside = writeFile("outside/victim", "precious\n", 0o666);
  Deno.chmodSync(`${ROOT}/outside`, 0o777);
  const binary = await compile(
    {
      deferral: {
        message: ({ seconds }) => {
          // @ts-ignore: it stands in front of the module's export.
          start();
          return `in ${seconds}`;
        },
      },
    },
    atStart(port, "probe(targets);") +
      "\nif (Deno.build.standalone) await probeLater(targets);",
  );
  writeFile("base/.own", "#!/bin/sh\n", 0o755);
  const script = `exec 7<${ROOT}/outside; exec "$@"\n`;
  const before = ["/bin/sh", writeFile("descriptor.sh", script)];
  const next = greeter();
  await using server = await tcpserver.start({ binary, before, next });
  const text = await burst(server.port, SESSION);
  await gone(binary);

  await t.step("all of it is refused", () => {
    const outcomes: Record<string, string> = JSON.parse(read(".probed"));
    for (const [name, outcome] of Object.entries(outcomes)) {
      assertEquals(outcome, "NotCapable", name);
    }
    assert(Object.keys(outcomes).length > 40);
  });
  await t.step("asynchronous attempts as well", () => {
    const outcomes: Record<string, string> = JSON.parse(read(".probed-later"));
    for (const [name, outcome] of Object.entries(outcomes)) {
      assertEquals(outcome, OTHERWISE[name] ?? "NotCapable", name);
    }
    assert(Object.keys(outcomes).length > 10);
  });
  await t.step("nothing outside has changed", () => {
    assertEquals(Deno.readTextFileSync(outside), "precious\n");
    assertEquals(Deno.statSync(outside).mode! & 0o7777, 0o666);
    assertEquals(
      [...Deno.readDirSync(`${ROOT}/outside`)].map(({ name }) => name),
      ["victim"],
    );
    assertEquals(visitors, []);
  });
  await t.step("the client is deferred as usual", async () => {
    assertOnlySmtp(text);
    assertMatch(text, /\r\n451 4\.7\.1 in 60\r\n221 /);
    assertEquals(entries(), { [NAME]: 0 });
    assertEquals(logLines().length, 1);
    assertMatch(logLines()[0], /Z defer ip=127\.0\.0\.1 .*reason=new wait=60 /);
    assertEquals(server.stderr(), "");
    age(NAME, 100);
    const passed = await burst(server.port, SESSION);
    assertEquals(passed.split("\r\n")[0], NEXT);
  });
  listener.close();
  await listening;
});

e2e(
  "not confined by permissions: the C library, and links in the base directory",
  {
    programs: ["tcpserver"],
  },
  async () => {
    clean();
    const binary = await compile(
      {
        deferral: {
          message: ({ seconds }) => {
            // @ts-ignore: it stands in front of the module's export.
            start();
            return `in ${seconds}`;
          },
        },
      },
      atStart(0, "probeOpen(targets);"),
    );
    // Deno follows it; the program itself opens nothing through one.
    Deno.symlinkSync(writeFile("outside/victim", "linked\n"), `${BASE}/.link`);
    await using server = await tcpserver.start({ binary, next: greeter() });
    assertMatch(await burst(server.port, SESSION), /\r\n451 4\.7\.1 in 60\r\n/);
    assertEquals(read(".linked"), "linked\n");
    assertEquals(read(".library"), "root:");
  },
);

e2e("a message that needs what is not allowed is left out", {
  programs: ["tcpserver"],
}, async () => {
  clean();
  const binary = await compile({
    deferral: {
      // `deno task compile` tries it with another address.
      message: ({ ip }) =>
        ip === "127.0.0.1" ? Deno.readTextFileSync("/etc/passwd") : "fine",
    },
  });
  await using server = await tcpserver.start({ binary, next: greeter() });
  const text = await burst(server.port, SESSION);
  assertOnlySmtp(text);
  assertMatch(text, /\r\n451 4\.7\.1 Greylisted, .* 60 seconds\r\n221 /);
  await gone(binary);
  assertEquals(entries(), { [NAME]: 0 });
  const [warning, line, ...more] = logLines();
  assertMatch(warning, / warn message reason=error .*\/etc\/passwd/);
  assertMatch(line, / defer ip=127\.0\.0\.1 .*reason=new /);
  assertEquals(more, []);
});

e2e(
  "a message that always needs it is refused at compile time",
  {},
  async () => {
    const message = () => Deno.readTextFileSync("/etc/passwd");
    const source = configModule({ deferral: { message } });
    const config = writeFile("needy.ts", source);
    const { code, stderr } = await compileTask(
      config,
      `${ROOT}/needy/greylist`,
    );
    assertEquals(code, 100, stderr);
    assertMatch(stderr, /needy\.ts: deferral\.message: .*expected/);
  },
);

e2e(
  "what such a message starts and leaves does not reach the client",
  inetd,
  async () => {
    clean();
    const binary = await compile({
      deferral: {
        message: ({ seconds }) => {
          if (Deno.build.standalone) fetch("http://127.0.0.1:9/");
          return `in ${seconds}`;
        },
      },
    });
    await using server = await inetd.start({ binary, next: greeter() });
    const text = await burst(server.port, SESSION);
    assertOnlySmtp(text);
    assertMatch(text, /\r\n451 4\.7\.1 in 60\r\n221 /);
    await gone(binary);
    assertEquals(entries(), { [NAME]: 0 });
    age(NAME, 100);
    const passed = await burst(server.port, SESSION);
    assertEquals(passed.split("\r\n")[0], NEXT);
  },
);
