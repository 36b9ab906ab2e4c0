/**
 * The error function and its relatives in float64, to about 1e-15 relative over the whole range, far tails included.
 *
 * Coefficients: fdlibm, s_erf.c (Sun Microsystems 1993): minimax rational approximations on four intervals of |x|, of which
 * the last two approximate log(x erfc(x) e^(x^2)) + 9/16 as a function of 1 / x^2.
 */

type Coefficients = readonly number[];

/** Polynomial with the constant coefficient first. */
function polynomial(coefficients: Coefficients, t: number): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * t + coefficients[i];
  return sum;
}

interface Rational {
  readonly above: Coefficients;
  readonly below: Coefficients;
}

function rational(r: Rational, t: number): number {
  return polynomial(r.above, t) / polynomial(r.below, t);
}

/** erf(x) = x + x R(x^2) for |x| < 27/32. */
const nearZero: Rational = {
  above: [
    1.28379167095512558561e-1, -3.2504210724700149937e-1, -2.84817495755985104766e-2, -5.77027029648944159157e-3,
    -2.37630166566501626084e-5,
  ],
  below: [
    1, 3.97917223959155352819e-1, 6.50222499887672944485e-2, 5.08130628187576562776e-3, 1.32494738004321644526e-4,
    -3.9602282787753681232e-6,
  ],
};

/** erf(x) = erfNearOne + R(x - 1) for 27/32 <= x < 5/4. */
const nearOne: Rational = {
  above: [
    -2.36211856075265944077e-3, 4.14856118683748331666e-1, -3.72207876035701323847e-1, 3.18346619901161753674e-1,
    -1.10894694282396677476e-1, 3.54783043256182359371e-2, -2.166375594868790843e-3,
  ],
  below: [
    1, 1.06420880400844228286e-1, 5.40397917702171048937e-1, 7.18286544141962662868e-2, 1.26171219808761642112e-1,
    1.36370839120290507362e-2, 1.1984499846799107417e-2,
  ],
};
const erfNearOne = 8.45062911510467529297e-1;

/** The tail's R(1 / x^2) for 5/4 <= x < 1/0.35. */
const nearTail: Rational = {
  above: [
    -9.86494403484714822705e-3, -6.93858572707181764372e-1, -1.05586262253232909814e1, -6.23753324503260060396e1, -1.62396669462573470355e2,
    -1.84605092906711035994e2, -8.12874355063065934246e1, -9.81432934416914548592,
  ],
  below: [
    1, 1.96512716674392571292e1, 1.376577541435190426e2, 4.34565877475229228821e2, 6.45387271733267880336e2, 4.29008140027567833386e2,
    1.08635005541779435134e2, 6.57024977031928170135, -6.04244152148580987438e-2,
  ],
};

/** The tail's R(1 / x^2) from 1/0.35 on. */
const farTail: Rational = {
  above: [
    -9.86494292470009928597e-3, -7.99283237680523006574e-1, -1.77579549177547519889e1, -1.60636384855821916062e2, -6.37566443368389627722e2,
    -1.02509513161107724954e3, -4.83519191608651397019e2,
  ],
  below: [
    1, 3.03380607434824582924e1, 3.25792512996573918826e2, 1.53672958608443695994e3, 3.19985821950859553908e3, 2.55305040643316442583e3,
    4.74528541206955367215e2, -2.24409524465858183362e1,
  ],
};

// Why: at x = 27 one unit in the last place of x^2 moves e^(-x^2) by 1e-13. With h, the leading 21 bits of x, h^2 is exact, and
// x^2 = h^2 + (x - h)(x + h) has only a small inexact part.
const head = new Float64Array(1);
const halves = new Uint32Array(head.buffer);
const low = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;

function leadingBits(x: number): number {
  head[0] = x;
  halves[low] = 0;
  return head[0];
}

/** e^(-x^2 scale + t) for x > 0, where x^2 is not rounded; scale is a power of two. */
function gaussian(x: number, scale: number, t: number): number {
  const h = leadingBits(x);
  return Math.exp(-h * h * scale - 0.5625) * Math.exp((h - x) * (h + x) * scale + t);
}

/** log(x erfc(x) e^(x^2)) + 9/16 for x >= 5/4. */
function tail(x: number): number {
  return rational(x < 1 / 0.35 ? nearTail : farTail, 1 / (x * x));
}

/** erf(x) = 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size < 0.84375) return x + x * rational(nearZero, x * x);
  if (x !== x) return x;
  return Math.sign(x) * (size < 6 ? 1 - erfcAbove(size) : 1);
}

/** erfc(x) = 1 - erf(x) without cancellation. */
export function erfc(x: number): number {
  if (x < 0.25) return x > -0.84375 ? 1 - erf(x) : 2 - (x < -6 ? 0 : erfcAbove(-x));
  if (x < 0.84375) return 0.5 - (x - 0.5 + x * rational(nearZero, x * x));
  return x > 28 ? 0 : erfcAbove(x);
}

/** erfc(x) for x >= 27/32; NaN stays NaN. */
function erfcAbove(x: number): number {
  if (x < 1.25) return 1 - erfNearOne - rational(nearOne, x - 1);
  return gaussian(x, 1, tail(x)) / x;
}

/** The standard normal distribution: erfc(-x / sqrt(2)) / 2. */
export function normalCdf(x: number): number {
  // Why x in the exponential: e^(-z^2) with a rounded z would be off by 1e-13 at x = -38; tail(z) / z hardly changes.
  const z = -x * Math.SQRT1_2;
  if (z < 1.25) return 0.5 * erfc(z);
  return z > 28 ? 0 : (0.5 * gaussian(-x, 0.5, tail(z))) / z;
}
