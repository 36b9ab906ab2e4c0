/** Drawing in small pieces, so that the page answers while two models train: one job for each place, and a few milliseconds of them in a frame. */
const BUDGET = 6;

export class Frames {
  readonly #jobs = new Map<string, () => void>();
  #asked = false;

  /** Draws `place` by `job` in one of the next frames. A job that was asked for before and not done yet is forgotten. */
  request(place: string, job: () => void): void {
    this.#jobs.delete(place);
    this.#jobs.set(place, job);
    this.#ask();
  }

  /** Forgets all that was asked for: it belongs to a run that is over. */
  clear(): void {
    this.#jobs.clear();
  }

  #ask(): void {
    if (this.#asked || this.#jobs.size === 0) return;
    this.#asked = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#asked = false;
    const start = performance.now();
    for (const [place, job] of this.#jobs) {
      this.#jobs.delete(place);
      job();
      if (performance.now() - start > BUDGET) break;
    }
    this.#ask();
  }
}
