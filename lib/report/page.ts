/**
 * A page of plain text that takes shape line by line.
 *
 * @module
 */

import { tied } from "./format.ts";

/** The width of a line, in characters. */
export const WIDTH = 80;

/** Lines, with a blank line between sections. */
export class Page {
  readonly lines: string[] = [];
  #gap = false;

  /** Leaves a blank line in front of the next line. */
  gap(): void {
    this.#gap = this.lines.length > 0;
  }

  /** Adds a line. */
  add(line: string): void {
    if (this.#gap) this.lines.push("");
    this.#gap = false;
    this.lines.push(line.trimEnd());
  }

  /** Begins a section. */
  heading(text: string): void {
    this.gap();
    this.add(text);
  }

  /** A sentence, over as many lines as it takes. */
  say(text: string, indent = ""): void {
    let line = "";
    // A number and its unit stay on one line.
    for (const tiedWord of tied(text).split(" ")) {
      const word = tiedWord.replaceAll("\u00a0", " ");
      const longer = line === "" ? indent + word : `${line} ${word}`;
      if (line !== "" && longer.length > WIDTH) {
        this.add(line);
        line = indent + word;
      } else line = longer;
    }
    this.add(line);
  }
}

/** The text, cut to so many characters. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : text.slice(0, most - 3) + "...";
}
