/** Notices a worker that says nothing any more: a browser that ends one for want of memory tells the page nothing. */
export class Silence {
  readonly #limit: number;
  readonly #heard: () => void;
  #timer = 0;

  /** Calls `noticed` after `limit` milliseconds in which neither `expect` nor `stop` was called. */
  constructor(limit: number, noticed: () => void) {
    this.#limit = limit;
    this.#heard = noticed;
  }

  /** Something was heard, and more must come. */
  expect(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(this.#heard, this.#limit);
  }

  /** Nothing more is expected. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
