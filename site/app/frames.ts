/**
 * Drawing in small pieces, so that the page answers while two models train: one job for each place, a few milliseconds of them in a frame, and
 * nothing again where nobody looks.
 */
const BUDGET = 6;

export class Frames {
  readonly #jobs = new Map<string, () => void>();
  readonly #drawn = new Set<string>();
  readonly #hidden = new Set<string>();
  readonly #seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#hidden[isIntersecting ? "delete" : "add"](target.id);
    this.#ask();
  });
  #sparing = false;
  #asked = false;

  /** Draws the element `place` by `job` in one of the next frames. A job that was asked for before and not done yet is forgotten. */
  request(place: string, job: () => void): void {
    this.#jobs.delete(place);
    this.#jobs.set(place, job);
    this.#ask();
  }

  /** Places that wait, while drawing is sparing, until they can be seen. */
  watch(places: Iterable<Element>): void {
    for (const place of places) this.#seen.observe(place);
  }

  /** While two models train, what was drawn and is out of sight is not drawn again. */
  set sparing(value: boolean) {
    this.#sparing = value;
    this.#ask();
  }

  /** Forgets all that was asked for: it belongs to a run that is over. */
  clear(): void {
    this.#jobs.clear();
    this.#drawn.clear();
  }

  #due(): [string, () => void][] {
    return [...this.#jobs].filter(([place]) => !(this.#sparing && this.#hidden.has(place) && this.#drawn.has(place)));
  }

  #ask(): void {
    if (this.#asked || this.#due().length === 0) return;
    this.#asked = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#asked = false;
    const start = performance.now();
    for (const [place, job] of this.#due()) {
      this.#jobs.delete(place);
      this.#drawn.add(place);
      job();
      if (performance.now() - start > BUDGET) break;
    }
    this.#ask();
  }
}
