/**
 * The form of README and of the manual: lengths, first sentences, links.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { normalize } from "@std/path";
import { PROJECT } from "../harness/project.ts";

/** The pages of the manual, as paths below the project. */
const PAGES = Array.from(
  Deno.readDirSync(`${PROJECT}lib/manual`),
  ({ name }) => `lib/manual/${name}`,
).sort();

const read = (file: string) => Deno.readTextFileSync(PROJECT + file);

/** The text without its blocks of code. */
const prose = (text: string) => text.replace(/^```[^]*?^```$/gm, "");

/** The targets of the links in a text. */
const linksOf = (text: string) =>
  Array.from(prose(text).matchAll(/\]\(([^)]+)\)/g), ([, link]) => link);

/** The anchors that GitHub makes of the headings in a text. */
const anchorsOf = (text: string) =>
  Array.from(
    prose(text).matchAll(/^#+ (.*)$/gm),
    ([, title]) =>
      title.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-"),
  );

Deno.test("README has 250 lines at most", () => {
  const lines = read("README.md").split("\n").length - 1;
  assert(lines <= 250, `${lines} lines`);
});

Deno.test("each page has 30 to 200 lines", () => {
  for (const page of PAGES) {
    assertMatch(page, /^lib\/manual\/[a-z][a-z0-9-]*\.md$/);
    const lines = read(page).split("\n").length - 1;
    assert(lines >= 30 && lines <= 200, `${page}: ${lines} lines`);
  }
});

Deno.test("each page begins with a title and one sentence that fits a line", () => {
  for (const page of PAGES) {
    // Two blanks, twelve columns for the topic, and 66 for the sentence.
    assertMatch(read(page), /^# .+\n\n[A-Z].{10,65}[a-z]\.\n\n/, page);
  }
});

Deno.test("README links to every page", () => {
  const linked = linksOf(read("README.md"))
    .filter((link) => link.startsWith("lib/manual/"));
  assertEquals([...new Set(linked)].sort(), PAGES);
});

Deno.test("every link works", () => {
  for (const page of ["README.md", ...PAGES]) {
    for (const link of linksOf(read(page))) {
      if (/^https:\/\//.test(link)) continue;
      const [file, anchor] = link.split("#");
      const target = file === ""
        ? page
        : normalize(`${page.replace(/[^/]*$/, "")}${file}`);
      assert(Deno.statSync(PROJECT + target).isFile, `${page}: ${link}`);
      if (anchor === undefined) continue;
      assert(anchorsOf(read(target)).includes(anchor), `${page}: ${link}`);
    }
  }
});

Deno.test("every help TOPIC that a text mentions is there", () => {
  const commands = ["info", "explain", "check", "prune", "import"];
  for (const page of ["README.md", ...PAGES]) {
    for (const [, topic] of read(page).matchAll(/greylist\s+help ([a-z-]+)/g)) {
      if (commands.includes(topic)) continue;
      assert(PAGES.includes(`lib/manual/${topic}.md`), `${page}: ${topic}`);
    }
  }
});

Deno.test("every file that a text names is there", () => {
  for (const page of ["README.md", ...PAGES]) {
    const named = prose(read(page)).matchAll(/`((?:lib|tests)\/[\w./-]*)`/g);
    for (const [, file] of named) Deno.statSync(PROJECT + file);
  }
});

Deno.test("every test that the page of what was tried names is there", () => {
  const rows = read("lib/manual/tried.md").match(/^\|.*$/gm) ?? [];
  const tests = rows.map((row) => row.split("|")[2].trim())
    .filter((cell) => cell !== "test" && !/^-+$/.test(cell))
    .flatMap((cell) => cell.split(", "));
  assert(tests.length >= 20, `${tests.length} tests`);
  for (const test of tests) Deno.statSync(`${PROJECT}tests/${test}_test.ts`);
});
