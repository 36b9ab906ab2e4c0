/** The books of a backend: what its memory holds, the most that it held, and how often it launched. */
import type { BackendStats } from "./backend.ts";

export class Books {
  #liveBuffers = 0;
  #liveBytes = 0;
  #peakBytes = 0;
  #launches = 0;

  /** A buffer was made. */
  took(bytes: number): void {
    this.#liveBuffers++;
    this.#liveBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
  }

  /** A buffer was freed. */
  gave(bytes: number): void {
    this.#liveBuffers--;
    this.#liveBytes -= bytes;
  }

  launched(): void {
    this.#launches++;
  }

  /** Bytes that would bring memory to its peak again. */
  get belowPeak(): number {
    return this.#peakBytes - this.#liveBytes;
  }

  stats(): BackendStats {
    return { liveBuffers: this.#liveBuffers, liveBytes: this.#liveBytes, peakBytes: this.#peakBytes, launches: this.#launches };
  }
}
