/** IEEE 754 binary16, a format that others store in: 1 sign, 5 exponent and 10 fraction bits. Every one of them is a float32. */

/** The number that 16 bits stand for; exact. */
export function fromFloat16Bits(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}
