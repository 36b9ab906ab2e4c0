/** Memory accounting of a backend: what lives now, the most that lived at once, and how many kernels were launched. */
import type { BackendStats } from "./backend.ts";

/** Counts buffers, bytes and launches. */
export class MemoryAccount {
  #liveBuffers = 0;
  #liveBytes = 0;
  #peakBytes = 0;
  #launches = 0;

  allocated(bytes: number): void {
    this.#liveBuffers++;
    this.#liveBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
  }

  freed(bytes: number): void {
    this.#liveBuffers--;
    this.#liveBytes -= bytes;
  }

  launched(): void {
    this.#launches++;
  }

  /** How many bytes less than at the peak live now. */
  get belowPeak(): number {
    return this.#peakBytes - this.#liveBytes;
  }

  stats(): BackendStats {
    return { liveBuffers: this.#liveBuffers, liveBytes: this.#liveBytes, peakBytes: this.#peakBytes, launches: this.#launches };
  }
}
