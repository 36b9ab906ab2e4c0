/**
 * bfloat16: the upper 16 bits of a float32. Eight bits of exponent, as float32 has, and seven of fraction: range is kept,
 * precision is two to three decimal digits. It is a format to store in; arithmetic happens in float32.
 */
import { check, having } from "./arguments.ts";

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The nearest bfloat16 of `x`, ties to even, as its 16 bits. NaN gives a quiet NaN with the sign of `x`. */
export function toBfloat16Bits(x: number): number {
  float[0] = x;
  if (x !== x) return (word[0] >>> 16) | 0x0040;
  if (float[0] !== x) word[0] = roundedToOdd(x);
  const tie = 0x7fff + ((word[0] >>> 16) & 1);
  return (word[0] + tie) >>> 16;
}

// Why: a float64 that is rounded twice (to float32, then to bfloat16) can land on a tie that it was not. Truncating to float32 with
// the last bit set ("round to odd") marks that something was cut off. Boldo and Melquiond 2008, "Emulation of FMA", section 3.
function roundedToOdd(x: number): number {
  const magnitudeGrew = Math.abs(float[0]) > Math.abs(x);
  return (magnitudeGrew ? word[0] - 1 : word[0]) | 1;
}

/** The number that 16 bits stand for; exact. */
export function fromBfloat16Bits(bits: number): number {
  word[0] = bits << 16;
  return float[0];
}

/** Each element of `values` as bfloat16 bits. Throws where `values` is no array. */
export function packBfloat16(values: ArrayLike<number>): Uint16Array {
  check("packBfloat16", "values", values, having("an array of numbers", "length"));
  if (values instanceof Float32Array) return packFloat32(values);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) bits[i] = toBfloat16Bits(values[i]);
  return bits;
}

/** The same on the words of float32 themselves, ten times as fast: weights come in hundreds of millions. */
function packFloat32(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const word = words[i];
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    bits[i] = isNaN ? (word >>> 16) | 0x0040 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** Each element of `bits` as a float32. Throws where `bits` is no array. */
export function unpackBfloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  check("unpackBfloat16", "bits", bits, having("an array of bits", "length"));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = fromBfloat16Bits(bits[i]);
  return values;
}
