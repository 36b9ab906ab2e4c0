/** Over how many processes a run is shared: the options, which of them fit together, and what a checkpoint keeps of them. */
import { flag, integer } from "./commandLine.ts";
import type { Reader } from "./commandLine.ts";
import type { ModelConfig } from "./modelOptions.ts";
import { expertCount } from "./routers.ts";
import { UserError } from "./userError.ts";

export const processOptions = (read: Reader) => ({
  processes: read(
    "processes",
    integer(1),
    1,
    "processes that share every step, started under mpirun; inside of mpirun or srun: as many as it started",
  ),
  expertsOver: read(
    "experts-over",
    integer(0),
    0,
    "processes that share the experts of a layer out; 1: each holds all of them; 0: those of a host, where tokens are fewer than " +
      "gradients",
  ),
  shards: read(
    "shards",
    integer(0),
    0,
    "parts of a batch that are routed apart, each with its own capacity; 0: as few as the processes need",
  ),
  ordered: read("ordered", flag, false, "sums over shards in their order: the same bits on any number of processes; slower"),
  sharedState: read("shared-state", flag, false, "the processes share out what the optimiser remembers (ZeRO stage 1)"),
  threads: read("threads", integer(0), 0, "threads of the wasm backend in each process; 0: the cores of the host, shared by its processes"),
});

export type ProcessOptions = ReturnType<typeof processOptions>;

/** How a run is shared; saved with it. */
export interface Sharing extends Pick<ProcessOptions, "processes" | "expertsOver" | "ordered" | "sharedState"> {}

/** What else decides whether a sharing fits. */
export interface Shared {
  readonly model: Pick<ModelConfig, "architecture" | "router" | "experts" | "expertDropout" | "width" | "hidden" | "capacityFactor">;
  readonly training: { readonly batch: number; readonly length: number; readonly accumulate: number };
}

/** Whether a step is taken by the parts of many processes: also in one, where bits are compared or a batch is routed in parts. */
export function isShared({ processes, expertsOver, shards, ordered, sharedState }: Omit<ProcessOptions, "threads">): boolean {
  return processes > 1 || expertsOver > 1 || shards > 1 || ordered || sharedState;
}

/**
 * The default number of processes over which the experts are spread. Where each process holds all experts, the gradients of all are sent,
 * twice; where experts are spread, the tokens in their slots are sent, four times. It is the choice that sends less, within one host.
 */
export function usualGroup(processes: number, { model, training }: Shared, onHost = processes): number {
  const { width, hidden, capacityFactor, expertDropout } = model;
  const experts = expertCount(model);
  const group = greatestDivisor(greatestDivisor(processes, onHost), experts);
  const gradients = 2 * experts * 2 * width * hidden;
  const slots = Math.min(capacityFactor, experts) * ((training.batch * training.length) / processes);
  return expertDropout > 0 || experts === 0 || 4 * slots * width >= gradients ? 1 : group;
}

/** The least number of shards of a batch for a number of processes, which must divide the shards of a step. */
export function leastShards(processes: number, accumulate: number): number {
  return processes / greatestDivisor(processes, accumulate);
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Returns the number of shards of a batch. Throws a UserError for a number of processes or shards that does not fit. */
export function checkedShards({ processes, expertsOver, shards }: Omit<ProcessOptions, "threads">, shared: Shared): number {
  const { batch, accumulate } = shared.training;
  checkModel(expertsOver, shared.model);
  if (processes % expertsOver !== 0)
    throw new UserError(`--experts-over ${expertsOver}: does not divide ${processes} processes; want one of ${divisors(processes)}`);
  const parts = shards || leastShards(processes, accumulate);
  if ((parts * accumulate) % processes !== 0)
    throw new UserError(
      `--shards ${parts}: a step has ${parts * accumulate} shards, which do not divide over ${processes} processes; want a multiple ` +
        `of ${leastShards(processes, accumulate)}`,
    );
  if (parts > batch) {
    const why = shards ? "" : `, which ${processes} processes need`;
    throw new UserError(`--batch ${batch}: too few sequences for ${parts} shards${why}; want at least one for each`);
  }
  return parts;
}

function checkModel(expertsOver: number, model: Shared["model"]): void {
  const experts = expertCount(model);
  if (model.architecture !== "decoder")
    throw new UserError(
      `--architecture ${model.architecture}: only decoders are trained on many processes or in shards: the pairs of an ` +
        "encoder-decoder have targets of different lengths, and their batches are padded as a whole",
    );
  if (experts % expertsOver !== 0)
    throw new UserError(`--experts-over ${expertsOver}: does not divide ${experts} experts; want one of ${divisors(experts)}`);
  if (model.expertDropout > 0 && expertsOver > 1)
    throw new UserError(
      `--expert-dropout ${model.expertDropout} --experts-over ${expertsOver}: the masks inside experts would depend on who holds ` +
        "them; use --dropout, or --experts-over 1",
    );
}

function divisors(n: number): string {
  const all = Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
  return all.join(", ");
}

const notShared: Readonly<Record<string, string>> = {
  finetune: "its pairs have targets of different lengths, and a batch of them is padded as a whole",
  distil: "its teacher is read whole by one process",
};

/** Throws a UserError where a command that runs in one process is asked for more. */
export function refuseProcesses(command: string, argv: readonly string[]): void {
  const names = ["processes", "experts-over", "shards", "ordered", "shared-state"];
  const asked = names.find((name) => argv.some((word) => word === `--${name}` || word.startsWith(`--${name}=`)));
  if (asked === undefined || command === "train" || command === "resume") return;
  throw new UserError(
    `${command}: --${asked}: only train and resume share their work over ` +
      `processes${notShared[command] ? `; of ${command}, ${notShared[command]}` : ""}`,
  );
}
