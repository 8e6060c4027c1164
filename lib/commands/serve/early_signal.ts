/**
 * `greylist serve`: signals that may come before their handler is there.
 *
 * @module
 */

/**
 * Takes some signals from now on. Until there is a handler, it is noted that one of
 * them has come.
 */
export class EarlySignal {
  #hasCome = false;
  #handler = () => {
    this.#hasCome = true;
  };

  constructor(...signals: readonly Deno.Signal[]) {
    for (const signal of signals) {
      Deno.addSignalListener(signal, () => this.come());
    }
  }

  /** Does what the signal does. */
  come(): void {
    this.#handler();
  }

  /** Sets the handler, and calls it if a signal has come before. */
  handle(handler: () => void): void {
    this.#handler = handler;
    if (this.#hasCome) handler();
  }
}
