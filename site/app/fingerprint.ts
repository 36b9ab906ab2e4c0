/** A short mark of all losses so far: two runs with the same mark gave the same bits. FNV-1a (Fowler, Noll and Vo), 32 bits. */
export class Fingerprint {
  #hash = 0x811c9dc5;

  add(value: number): void {
    for (const byte of new Uint8Array(Float64Array.of(value).buffer)) this.#hash = Math.imul(this.#hash ^ byte, 0x01000193) >>> 0;
  }

  get text(): string {
    return this.#hash.toString(16).padStart(8, "0");
  }
}
