import { assert, assertEquals } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import { RuleFiles } from "../../lib/whitelist/rule_files.ts";

const CLIENT = parseAddress("192.0.2.7")!;

/** Files that a test changes, and the warnings about them. */
function site(files: Record<string, string>) {
  const paths = Object.keys(files);
  const ruleFiles = new RuleFiles(paths, "whitelist");
  return {
    /** The first line that exempts the client, as the log names it. */
    find(host?: string): string | undefined {
      for (const path of paths) {
        const { line } = ruleFiles.search(path, { address: CLIENT, host });
        if (line !== undefined) return `${path}:${line}`;
      }
    },
    async load(): Promise<string[]> {
      const warnings: string[] = [];
      await ruleFiles.load((path) => {
        return files[path] === undefined
          ? Promise.reject(new Error("open: no such file"))
          : Promise.resolve(files[path]);
      }, (message) => warnings.push(message));
      return warnings;
    },
  };
}

Deno.test("rule files: the first line that matches, file by file", async () => {
  const { load, find } = site({
    "/a": "# comment\n\n198.51.100.1\n.example.org # names below\n",
    "/b": "192.0.2.0/24\n192.0.2.7\n",
  });
  assertEquals(find(), undefined);
  assertEquals(await load(), []);
  assertEquals(find(), "/b:1");
  assertEquals(find("mx.example.org"), "/a:4");
});

Deno.test("rule files: a change counts when the file is read again", async () => {
  const files: Record<string, string> = { "/a": "192.0.2.7\n" };
  const { load, find } = site(files);
  await load();
  files["/a"] = "\n192.0.2.7\n";
  assertEquals(find(), "/a:1");
  assertEquals(await load(), []);
  assertEquals(find(), "/a:2");
  files["/a"] = "";
  await load();
  assertEquals(find(), undefined);
});

Deno.test("rule files: the rules of a file that cannot be read stay in force", async () => {
  const files: Record<string, string> = {
    "/a": "192.0.2.7\n",
    "/b": "client.example\n",
  };
  const { load, find } = site(files);
  await load();
  delete files["/a"];
  files["/b"] = "# nobody\n";
  assertEquals(await load(), [
    "whitelist file /a: open: no such file: create it, or take it out of " +
    "whitelist.files; until then the rules read before stay in force",
  ]);
  assertEquals(find("client.example"), "/a:1");
  files["/a"] = "";
  assertEquals(await load(), []);
  assertEquals(find("client.example"), undefined);
  // A file that was never read has no rules that stay.
  const never: Record<string, string> = { "/c": "" };
  const fresh = site(never);
  delete never["/c"];
  assertEquals(await fresh.load(), [
    "whitelist file /c: open: no such file: create it, or take it out of " +
    "whitelist.files",
  ]);
});

Deno.test("rule files: bad lines are told, the others count", async () => {
  const bad = Array.from({ length: 12 }, (_, i) => `no rule ${i}\n`).join("");
  const { load, find } = site({ "/a": `${bad}192.0.2.7\n` });
  const warnings = await load();
  assertEquals(warnings.length, 11);
  assertEquals(warnings[0].startsWith('/a:1: "no rule 0": expected '), true);
  assertEquals(warnings[10], "/a: 2 more bad lines");
  assertEquals(find(), "/a:13");
});

Deno.test("rule files: no client pays for bad lines", async () => {
  const lines = 777;
  const { load, find } = site({ "/a": "no rule\n".repeat(lines) });
  await load();
  const { filter } = Array.prototype;
  const lengths: number[] = [];
  Array.prototype.filter = function (this: unknown[], ...args: [never]) {
    lengths.push(this.length);
    return filter.apply(this, args);
  } as typeof filter;
  try {
    assertEquals(find("client.example"), undefined);
  } finally {
    Array.prototype.filter = filter;
  }
  assertEquals(lengths.includes(lines), false);
});

Deno.test("rule files: clients are served while a large file is read again", async () => {
  const files: Record<string, string> = { "/a": "" };
  const { load, find } = site(files);
  await load();
  const lines = Array.from({ length: 10_000 }, (_, i) => `mx${i}.example.org`);
  lines[9500] = "192.0.2.7";
  lines[9800] = "1 bad line";
  files["/a"] = lines.join("\n");
  let turns = 0;
  let isOver = false;
  const loading = load().finally(() => isOver = true);
  while (!isOver) {
    assertEquals(find(), undefined);
    await new Promise((resolve) => setTimeout(resolve, 0));
    turns++;
  }
  // 10,000 lines are nine pieces.
  assert(turns >= 8, `${turns} turns`);
  assertEquals(await loading, [
    '/a:9801: "1 bad line": expected a network, an address, a host, .suffix or /regex/',
  ]);
  assertEquals(find(), "/a:9501");
  // No line is cut between two pieces.
  for (let i = 0; i < 9500; i++) {
    assertEquals(find(`mx${i}.example.org`), `/a:${i + 1}`);
  }
});
