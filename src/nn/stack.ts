/**
 * A stack of Transformer blocks: a decoder-only model has one, an encoder-decoder two. Their differences are settings.
 * B batch, T tokens, S memory, D width, F hidden width, H heads, K width of a head.
 */
import { aTensor, check, checkOptions } from "../autograd/arguments.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { recomputeKeeping } from "../autograd/recompute.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { Block, addByName } from "./block.ts";
import type { BlockOutput, Norm, Seen } from "./block.ts";
import { dropout } from "./dropout.ts";
import { DenseFeedForward } from "./feedForward.ts";
import { scaledTruncatedNormal } from "./initializers.ts";
import { documentBias, prefixBias, windowBias } from "./masks.ts";
import type { Init, Pass } from "./module.ts";
import { Module, aPass, under } from "./module.ts";
import { MultiHeadAttention } from "./multiHeadAttention.ts";
import { LayerNorm, RMSNorm } from "./normalization.ts";
import type { AbsolutePositions } from "./positions.ts";
import { LearnedPositions, SinusoidalPositions } from "./positions.ts";
import { BucketBias, DistanceBias } from "./positionBias.ts";
import type { PositionBias } from "./positionBias.ts";
import { Rotary } from "./rotary.ts";
import { stackInputKinds, stackKinds } from "./stackSettings.ts";
import type { StackInput, StackOptions } from "./stackSettings.ts";

/** What a stack returns: its output, auxiliary losses, routings, and keys and values. */
export interface StackOutput {
  /** [B, T, D], normed. */
  readonly output: Tensor;
  /** Auxiliary losses of the layers, summed by name. */
  readonly losses: Record<string, Tensor>;
  /** The routings of the sparse layers, in layer order. */
  readonly routings: object[];
  /** Keys and values for the next pass, one entry for each layer; empty where blocks are recomputed. */
  readonly seen: Seen[];
}

/**
 * A stack of Transformer blocks, x [B, T, D] -> [B, T, D]: positions, blocks, and a last norm. Throws for an option that it does not know. Vaswani
 * et al. 2017, arXiv:1706.03762, section 3.1.
 */
export class Stack extends Module {
  readonly positions: (AbsolutePositions & Module) | null;
  /** Shared by all layers, as in T5. */
  readonly positionBias: PositionBias | null;
  readonly blocks: readonly Block[];
  readonly norm: Norm & Module;
  readonly settings: StackOptions;

  constructor(options: StackOptions) {
    super();
    checkOptions("Stack", options, stackKinds);
    this.settings = options;
    this.positions = absolutePositions(options);
    this.positionBias = relativePositions(options);
    this.blocks = Array.from({ length: options.layers }, (_, i) => blockOf(options, i, options.random.at("blocks", i)));
    this.norm = normOf(options);
  }

  /** x [B, T, D], the embedded tokens -> output [B, T, D]. Without a past, they are the beginnings of their sequences. */
  transform(x: Tensor, input: StackInput, pass: Pass): StackOutput {
    const { causal, dropout: share = 0, outputDropout = false, compute } = this.settings;
    check("Stack", "x", x, aTensor);
    checkOptions("Stack", input, stackInputKinds);
    check("Stack", "pass", pass, aPass);
    const { past, memory, memoryMask, mask, prefix } = input;
    const before = past?.[0]?.keys.shape[2] ?? 0;
    this.#check(x, input, before);
    const placed = this.positions ? this.positions.forward(x, input.positions ?? before) : x;
    let y = dropout(placed, share, under(pass, "embedding")).cast(compute === "bfloat16" ? "bfloat16" : x.dtype); // [B, T, D]
    const given = {
      causal: causal && !prefix,
      bias: this.#bias(y, input, before),
      mask,
      memory,
      memoryMask,
      tokens: this.#tokens(input, x.shape[1]),
    };
    const again = pass.training && (this.settings.recompute ?? false);
    const outputs: Passed[] = [];
    this.blocks.forEach((block, i) => {
      const x = y;
      const forward = (): BlockOutput => block.forward(x, { ...given, past: past?.[i] }, under(pass, "blocks", i));
      const output = again ? recomputed(forward) : forward();
      outputs.push(output);
      y = output.output;
    });
    const normed = this.norm.forward(y);
    return { output: outputDropout ? dropout(normed, share, under(pass, "output")) : normed, ...gathered(outputs) };
  }

  /** The sum of the biases of positions, window, documents and prefix; undefined where there is none. */
  #bias({ shape: [, T], dtype: kept, backend }: Tensor, { documents, prefix }: StackInput, before: number): Tensor | undefined {
    const S = before + T;
    const { window } = this.settings;
    const dtype = kept === "float64" ? kept : "float32";
    const parts = [
      this.positionBias?.forward(T, S),
      window && window < S ? windowBias(window, T, S, { dtype, backend }) : undefined,
      documents && documentBias(documents, dtype, T),
      prefix && prefixBias(prefix, T, S, dtype),
    ];
    return parts.reduce((sum, part) => (sum && part ? sum.add(part) : (sum ?? part)), undefined);
  }

  /** What the feed-forward layers are told of the new tokens. */
  #tokens({ ids, mask }: StackInput, T: number): { ids?: Tensor; mask?: Tensor; causal?: boolean } {
    const { causal, routePadding = false } = this.settings;
    const own = mask && !routePadding ? mask.narrow(1, mask.shape[1] - T, mask.shape[1]) : undefined;
    return { ...(ids && { ids }), ...(own && { mask: own }), ...(causal && { causal }) };
  }

  #check({ shape }: Tensor, { mask, documents, prefix, past }: StackInput, before: number): void {
    const { layers, width, causal } = this.settings;
    if (shape.length !== 3 || shape[2] !== width) throw new RangeError(`Stack: x ${formatShape(shape)}: want [B, T, ${width}]`);
    const all = [shape[0], before + shape[1]];
    for (const [name, given] of Object.entries({ mask, documents }))
      if (given && !sameShape(given.shape, all))
        throw new RangeError(`Stack: ${name} ${formatShape(given.shape)}: want [B, past + T] = ${formatShape(all)}`);
    if (past && past.length !== layers) throw new RangeError(`Stack: past of ${past.length} layers, there are ${layers}`);
    if (prefix && !causal) throw new TypeError("Stack: a prefix is for causal stacks; here all tokens see each other");
  }
}

/** The output of a block; without keys and values where they are to be computed again. */
type Passed = Omit<BlockOutput, "seen"> & { readonly seen?: Seen };

function recomputed(forward: () => BlockOutput): Passed {
  const { value, constants } = recomputeKeeping(() => {
    const { output, losses, routings } = forward();
    return { value: { output, losses }, constants: routings };
  });
  return { ...value, routings: constants };
}

function gathered(outputs: readonly Passed[]): Omit<StackOutput, "output"> {
  return {
    losses: addByName(...outputs.map(({ losses }) => losses)),
    routings: outputs.flatMap(({ routings }) => routings),
    seen: outputs.flatMap(({ seen }) => seen ?? []),
  };
}

/** The `Init` of a part: its own key, and the dtype. */
export function initOf({ random, dtype = "float32" }: Init, part: string): Init & { readonly dtype: NonNullable<Init["dtype"]> } {
  return { random: random.at(part), dtype };
}

function normOf({ norm = "rms", normEps, width, dtype = "float32" }: StackOptions): Norm & Module {
  const options = { dtype, ...(normEps === undefined ? {} : { eps: normEps }) };
  return norm === "rms" ? new RMSNorm(width, options) : new LayerNorm(width, options);
}

function blockOf(options: StackOptions, layer: number, random: Init["random"]): Block {
  const init = { random, dtype: options.dtype ?? "float32" };
  const { dropout: share = 0, memory = false } = options;
  return new Block({
    attention: options.attention?.(layer, initOf(init, "attention")) ?? attentionOf(options, initOf(init, "attention")),
    ...(memory ? { crossAttention: attentionOf(options, initOf(init, "crossAttention"), true) } : {}),
    feedForward: options.feedForward?.(layer, initOf(init, "feedForward")) ?? denseOf(options, initOf(init, "feedForward")),
    norm: () => normOf(options),
    dropout: share,
  });
}

function denseOf(
  { width, hidden = 4 * width, kind = "relu", bias = false, dropout: share = 0, initScale = 0.1 }: StackOptions,
  init: Init,
) {
  return new DenseFeedForward(width, hidden, { ...init, kind, bias, dropout: share, initializer: scaledTruncatedNormal(initScale) });
}

/** `across`: attention to another sequence, where distances mean nothing, so queries and keys are not rotated. */
function attentionOf(options: StackOptions, init: Init, across = false): MultiHeadAttention {
  const { width, heads, bias = false, attentionBias = bias, dropout: share = 0, initScale = 0.1, positions, theta } = options;
  const { keyValueHeads, headWidth, scale, normEps, queryKeyNorm = null, clip = null } = options;
  return new MultiHeadAttention(width, {
    ...init,
    heads,
    bias: attentionBias,
    dropout: share,
    initializer: scaledTruncatedNormal(initScale),
    rotary: positions === "rotary" && !across ? new Rotary(theta === undefined ? {} : { theta }) : null,
    queryKeyNorm,
    clip,
    ...(keyValueHeads === undefined ? {} : { keyValueHeads }),
    ...(headWidth === undefined ? {} : { headWidth }),
    ...(scale === undefined ? {} : { scale }),
    ...(normEps === undefined ? {} : { normEps }),
  });
}

function absolutePositions(options: StackOptions): (AbsolutePositions & Module) | null {
  const { positions, context = 128, width } = options;
  if (positions === "learned") return new LearnedPositions(context, width, initOf(options, "positions"));
  return positions === "sinusoidal" ? new SinusoidalPositions() : null;
}

function relativePositions(options: StackOptions): PositionBias | null {
  const { positions = "distance", context = 128, heads, buckets = 32, maxDistance = 128, causal, dtype = "float32" } = options;
  const bidirectional = !causal;
  if (positions === "distance") return new DistanceBias(heads, { dtype, maxDistance: context, bidirectional });
  if (positions !== "buckets") return null;
  return new BucketBias(heads, { ...initOf(options, "positionBias"), buckets, maxDistance, bidirectional });
}
