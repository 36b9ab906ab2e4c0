/**
 * What routers do with held-out text: load, importance, entropy, and how many experts a token gets. Counted for each sparse layer, answered
 * as the mean over layers. E experts, T tokens, K choices.
 */
import { maxViolation, readBooks } from "switchyard-moe/moe";
import type { HostBooks, Routing } from "switchyard-moe/moe";

interface Layer {
  /** [E]: choices, and gates of the choices that were served. */
  readonly load: number[];
  readonly importance: number[];
  /** How many tokens were served by 0, 1, 2, ... experts. */
  readonly served: number[];
  tokens: number;
  entropy: number;
  size: number;
}

export class Probe {
  readonly #layers: Layer[] = [];

  /** The routings of a forward pass, in the order of the sparse layers. To be called before the scope of the pass closes. */
  async add(routings: readonly Routing[]): Promise<void> {
    const reading = routings.map((routing) => Promise.all([readBooks(routing), routing.books.probs.data(), routing.books.logits.data()]));
    for (const [l, [books, probs, logits]] of (await Promise.all(reading)).entries()) {
      const { experts } = books;
      const layer = (this.#layers[l] ??= { load: zeros(experts), importance: zeros(experts), served: [], tokens: 0, entropy: 0, size: 0 });
      count(layer, books);
      for (let t = 0; t < books.tokens; t++)
        if (isReal(books, t)) observe(layer, probs.slice(t * experts, (t + 1) * experts), logits.slice(t * experts, (t + 1) * experts));
    }
  }

  /** Of some of the layers; default all. Empty where nothing is routed. */
  values(of: (layer: number) => boolean = () => true): Record<string, number> {
    const layers = this.#layers.filter((_, l) => of(l));
    if (layers.length === 0) return {};
    const mean = (one: (layer: Layer) => number): number => sum(layers.map(one)) / layers.length;
    const servedBy = (least: number, most = Infinity) => (layer: Layer): number =>
      sum(layer.served.filter((_, n) => n >= least && n <= most)) / layer.tokens; // prettier-ignore
    return {
      heldMaxVio: mean(({ load }) => maxViolation(load)),
      cvImportance: mean(({ importance }) => variation(importance)),
      cvLoad: mean(({ load }) => variation(load)),
      maxOverMean: mean(({ load }) => 1 + maxViolation(load)),
      entropy: mean(({ entropy, tokens }) => entropy / tokens),
      logSumExp: mean(({ size, tokens }) => Math.sqrt(size / tokens)),
      servedByNone: mean(servedBy(0, 0)),
      servedBy3or4: mean(servedBy(3, 4)),
      servedByMore: mean(servedBy(5)),
    };
  }
}

const zeros = (n: number): number[] => new Array<number>(n).fill(0);
const sum = (values: readonly number[]): number => values.reduce((total, x) => total + x, 0);
const isReal = ({ real }: HostBooks, token: number): boolean => !real || real[token] !== 0;

function count(layer: Layer, books: HostBooks): void {
  const { tokens, choices, expertOfChoice, slotOfChoice, gate } = books;
  for (let t = 0; t < tokens; t++) {
    if (!isReal(books, t)) continue;
    let served = 0;
    for (let at = t * choices; at < (t + 1) * choices; at++) {
      if (expertOfChoice[at] < 0) continue;
      layer.load[expertOfChoice[at]]++;
      if (slotOfChoice[at] < 0) continue;
      layer.importance[expertOfChoice[at]] += gate[at];
      served++;
    }
    layer.served[served] = (layer.served[served] ?? 0) + 1;
    layer.tokens++;
  }
  for (let n = 0; n < layer.served.length; n++) layer.served[n] ??= 0;
}

/** Entropy in nats of the router's distribution for a token, and the square of the logarithm of its sum of exponentials. */
function observe(layer: Layer, probs: ArrayLike<number>, logits: ArrayLike<number>): void {
  for (const p of Array.from(probs)) if (p > 0) layer.entropy -= p * Math.log(p);
  const most = Math.max(...Array.from(logits));
  layer.size += (most + Math.log(sum(Array.from(logits, (h) => Math.exp(h - most))))) ** 2;
}

/** The coefficient of variation, deviation over mean; 0 where there is nothing. */
export function variation(values: readonly number[]): number {
  const mean = sum(values) / values.length;
  return mean === 0 ? 0 : Math.sqrt(sum(values.map((x) => (x - mean) ** 2)) / values.length) / mean;
}
