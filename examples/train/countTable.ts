/**
 * Counts of keys in flat memory: open addressing with linear probing, twelve bytes a place, at most two thirds full. (A Map of Maps takes
 * hundreds of bytes a key: gigabytes for a few megabytes of text that does not repeat itself.)
 */
export class CountTable {
  #keys = new Float64Array(1024); // key + 1; 0: free
  #counts = new Int32Array(1024);
  #size = 0;

  /** Different keys seen. */
  get size(): number {
    return this.#size;
  }

  get(key: number): number {
    return this.#counts[this.#place(key)];
  }

  /** Adds 1 to the count of a key, a whole number from 0 to below 2^53 - 1, and returns the new count. */
  increment(key: number): number {
    let place = this.#place(key);
    if (this.#keys[place] === 0) {
      if (3 * (this.#size + 1) > 2 * this.#keys.length) {
        this.#grow();
        place = this.#place(key);
      }
      this.#keys[place] = key + 1;
      this.#size++;
    }
    return ++this.#counts[place];
  }

  /** Where the key is, or would be put. */
  #place(key: number): number {
    const mask = this.#keys.length - 1;
    let place = hash(key) & mask;
    while (this.#keys[place] !== 0 && this.#keys[place] !== key + 1) place = (place + 1) & mask;
    return place;
  }

  #grow(): void {
    const [keys, counts] = [this.#keys, this.#counts];
    this.#keys = new Float64Array(2 * keys.length);
    this.#counts = new Int32Array(2 * keys.length);
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] === 0) continue;
      const place = this.#place(keys[i] - 1);
      this.#keys[place] = keys[i];
      this.#counts[place] = counts[i];
    }
  }
}

/** Both halves of a whole number, mixed by the 32-bit finaliser of MurmurHash3 (Appleby 2011, public domain). */
function hash(key: number): number {
  let h = (key >>> 0) ^ Math.imul((key / 2 ** 32) | 0, 0x9e3779b9);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
