/** First in, first out. Jobs that finish at once never make a promise; the others hold back those behind them. */

export type Job = () => void | Promise<void>;

export class Queue {
  #jobs: Job[] = [];
  #next = 0;
  #draining: Promise<void> | undefined;

  /** Runs `job` now if nothing waits, else after everything pushed before. Jobs report their own failures: they never throw. */
  push(job: Job): void {
    if (this.#draining) {
      this.#jobs.push(job);
      return;
    }
    const pending = job();
    if (pending) this.#draining = this.#drain(pending);
  }

  async #drain(pending: Promise<void>): Promise<void> {
    await pending;
    while (this.#next < this.#jobs.length) {
      const more = this.#jobs[this.#next++]();
      if (more) await more;
      if (this.#next === 1024) this.#forget();
    }
    this.#forget();
    this.#draining = undefined;
  }

  #forget(): void {
    this.#jobs = this.#jobs.slice(this.#next);
    this.#next = 0;
  }
}
