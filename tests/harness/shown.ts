/**
 * The commands that README and the manual show.
 *
 * @module
 */

import { PROJECT } from "./project.ts";

/** One command, or one script that begins with `#!`. */
export interface Shown {
  readonly command: string;
  /** The lines below it, of a block "console". */
  readonly output: readonly string[];
}

/** One block of commands. */
export interface Block {
  /** The file, below the project. */
  readonly page: string;
  readonly commands: readonly Shown[];
}

/** All blocks "sh" and "console", README's first, as they stand there. */
export function blocks(): Block[] {
  const pages = Array.from(
    Deno.readDirSync(`${PROJECT}lib/manual`),
    ({ name }) => `lib/manual/${name}`,
  ).sort();
  return ["README.md", ...pages].flatMap((page) =>
    Array.from(
      Deno.readTextFileSync(PROJECT + page)
        .matchAll(/^```(sh|console)\n([^]*?)^```$/gm),
      ([, kind, text]) => ({
        page,
        commands: kind === "sh" ? commandsOf(text) : sessionOf(text),
      }),
    )
  );
}

/** The commands of a block "sh". */
function commandsOf(text: string): Shown[] {
  if (text.startsWith("#!")) return [{ command: text, output: [] }];
  const commands: string[] = [];
  let goesOn = false;
  for (const line of text.trimEnd().split("\n")) {
    if (goesOn || /^(\s|done$)/.test(line)) {
      commands.push(`${commands.pop()}\n${line}`);
    } else commands.push(line);
    goesOn = line.endsWith("\\");
  }
  return commands.map((command) => ({ command, output: [] }));
}

/** The commands of a block "console", each with what it writes. */
function sessionOf(text: string): Shown[] {
  const [before, ...parts] = text.trimEnd().split(/^\$ /m);
  if (before !== "") throw new Error(`expected "$ COMMAND": ${before}`);
  return parts.map((part) => {
    const [command, ...output] = part.trimEnd().split("\n");
    return { command, output };
  });
}
