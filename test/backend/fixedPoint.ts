/** The error function in fixed point with BigInt: slow, simple, and exact to hundreds of digits. The oracle of specialFunctions.ts. */

// erfc(27) is about 2^-1057, and its series is a product of a number near 2^1057 with one near 2^-1057: room for both.
const bits = 2400n;
const one = 1n << bits;

/** The exact value of a finite float64. */
export function fixed(x: number): bigint {
  let scaled = x;
  let halvings = 0n;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    halvings++;
  }
  return (BigInt(scaled) << bits) >> halvings;
}

const times = (a: bigint, b: bigint): bigint => (a * b) >> bits;

function squareRoot(x: bigint): bigint {
  const target = x << bits;
  let root = one << 4n;
  for (;;) {
    const next = (root + target / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** arctan(1 / n). */
function arctanOfInverse(n: bigint): bigint {
  let sum = 0n;
  for (let k = 1n, power = one / n; power !== 0n; k += 2n, power = -power / (n * n)) sum += power / k;
  return sum;
}

// Machin 1706.
const pi = 16n * arctanOfInverse(5n) - 4n * arctanOfInverse(239n);
const twoOverRootPi = (2n * one * one) / squareRoot(pi);
const rootTwo = squareRoot(2n * one);

function exp(x: bigint): bigint {
  const halvings = 20n;
  let sum = 0n;
  for (let k = 1n, term = one; term > 1n || term < -1n; k++) {
    sum += term;
    term = times(term, x >> halvings) / k;
  }
  for (let i = 0n; i < halvings; i++) sum = times(sum, sum);
  return sum;
}

/** erf(x) = 2 / sqrt(pi) e^(-x^2) (x + 2 x^3 / 3 + 4 x^5 / (3 5) + ...); Abramowitz and Stegun 7.1.6. */
export function erf(x: bigint): bigint {
  const twiceSquare = 2n * times(x, x);
  let sum = 0n;
  for (let k = 3n, term = x; term > 1n || term < -1n; k += 2n) {
    sum += term;
    term = times(term, twiceSquare) / k;
  }
  return times(times(sum, exp(-twiceSquare >> 1n)), twoOverRootPi);
}

export function erfc(x: bigint): bigint {
  return one - erf(x);
}

export function normalCdf(x: bigint): bigint {
  return (one + erf((x * one) / rootTwo)) >> 1n;
}

/** |got - want| / |want|. */
export function relativeError(got: number, want: bigint): number {
  const difference = fixed(got) - want;
  return Math.abs(Number((difference * 10n ** 25n) / want) / 1e25);
}

/** The float64 next to `x`. */
export function toNumber(x: bigint): number {
  const spare = Math.max(0, x.toString(2).length - 65);
  const scale = spare - Number(bits);
  return Number(x >> BigInt(spare)) * 2 ** Math.max(scale, -1000) * 2 ** Math.min(0, scale + 1000);
}
