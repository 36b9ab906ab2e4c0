/** The options that decide the shape of a model, with their help. Only this file and the one that builds the model name them. */
import { choice, factor, integer, positive, real, type Reader } from "./commandLine.ts";
import { routerNames, type RouterName } from "./routerNames.ts";

/** Routers that can be asked for. */
const router = { ...choice(...routerNames), placeholder: "NAME" };

export const modelOptions = (read: Reader) => ({
  architecture: read(
    "architecture",
    choice("decoder", "encoder-decoder"),
    "decoder",
    "a causal language model, or T5's two stacks, which learn to fill in spans that were taken out",
  ),
  width: read("width", integer(1), 64, "numbers per token"),
  layers: read("layers", integer(1), 2, "blocks of attention and feed-forward; of each stack"),
  heads: read("heads", integer(1), 4, "attention heads; they divide the width"),
  hidden: read(
    "hidden",
    integer(1),
    256,
    "hidden width that a byte meets in a layer; a router that sends it to K experts has experts of a K-th of it",
  ),
  experts: read("experts", integer(1), 16, "experts of each sparse layer; deepseek cuts each into four"),
  sparseEvery: read("sparse-every", integer(1), 1, "1: every feed-forward layer is sparse; 2: every other"),
  length: read("length", integer(2), 64, "bytes of a sequence, before spans are taken out"),
  router: read("router", router, "switch", `who goes where: ${routerNames.join(", ")}`),
  capacityFactor: read("capacity-factor", factor, 1.25, 'slots per expert over the fair share, in training; "none": nothing is dropped'),
  alpha: read("alpha", real(0), 0.01, "weight of the load-balancing loss"),
  group: read("group", choice("batch", "sequence"), "batch", "tokens that share out the slots: all of a batch, or each sequence its own"),
  balanceScope: read("balance-scope", choice("batch", "sequence"), "batch", "tokens over which the balance loss counts"),
  priority: read("priority", choice("position", "gate", "random"), "position", "who gets a slot first where an expert is full"),
  zLoss: read("z-loss", real(0), 0, "weight of the router z-loss"),
  jitter: read("jitter", real(0, 1), 0.01, "relative noise of the router's input, in training"),
  initScale: read("init-scale", positive(), 0.1, "s of the deviation sqrt(s / fan-in) of the first weights"),
  expertDropout: read("expert-dropout", real(0, 0.99), 0, "inside the experts; for fine-tuning"),
  dropout: read("dropout", real(0, 0.99), 0, "everywhere else"),
  precision: read("precision", choice("float32", "bfloat16"), "float32", "of everything but router, losses and optimiser"),
});

type ModelOptions = ReturnType<typeof modelOptions>;

/** The shape of a model; saved in its checkpoint, so that one file can generate. */
export interface ModelConfig extends Readonly<Omit<ModelOptions, "router">> {
  /** "dense": no experts, the same compute per token. */
  readonly router: RouterName | "dense";
}
