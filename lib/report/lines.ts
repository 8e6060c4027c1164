/**
 * Cuts a stream of bytes into lines.
 *
 * @module
 */

/** A line longer than this, in characters, is no log line. */
const LONGEST = 65536;

/** Takes bytes piece by piece and gives each line, without its end, on. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  readonly #line: (line: string) => void;
  readonly #long: () => void;
  #rest = "";
  #skipping = false;

  /**
   * @param line is called with each line
   * @param long is called for each line that is too long to be kept
   */
  constructor(line: (line: string) => void, long: () => void) {
    this.#line = line;
    this.#long = long;
  }

  /** Takes the next piece. */
  push(bytes: Uint8Array): void {
    this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** Passes on the last line, which may lack its line end. */
  end(): void {
    this.#take(this.#decoder.decode());
    if (this.#rest !== "") this.#line(this.#rest);
    this.#rest = "";
    this.#skipping = false;
  }

  #take(text: string): void {
    let at = 0;
    for (;;) {
      const end = text.indexOf("\n", at);
      if (end < 0) break;
      const line = this.#rest + text.slice(at, end);
      this.#rest = "";
      at = end + 1;
      if (this.#skipping) this.#skipping = false;
      else this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
    if (this.#skipping) return;
    this.#rest += text.slice(at);
    if (this.#rest.length > LONGEST) {
      this.#rest = "";
      this.#skipping = true;
      this.#long();
    }
  }
}
