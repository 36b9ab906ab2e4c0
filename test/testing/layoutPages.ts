/** The pages of docs/bugs-in-the-wild.md on bugs of many processes: the variants of brokenLayouts.ts, and those that are named only. */

export interface LayoutPage {
  /** The class in brokenLayouts.ts. */
  readonly variant: string;
  readonly title: string;
  readonly seen: string;
  readonly wrong: string;
  readonly unseen: string;
  readonly law: string;
}

// prettier-ignore
export const layoutPages: readonly LayoutPage[] = [
  { variant: "ExpertGradientsTimesRanks", title: "Expert gradients as many times too large as there are ranks", seen: "pytorch#160285; DeepSpeed PR#5259; megablocks PR#20 and #86; Megatron PR#5956", wrong: "An expert that lives once has seen the tokens of all ranks already. Its gradient is divided or multiplied as if it had been averaged like the others.", unseen: "Adam divides by the size of gradients, so the loss curve is nearly the same.", law: "gradients equal those of one process" },
  { variant: "LossTimesWorld", title: "The loss times the number of ranks", seen: "transformers#48690", wrong: "Each rank divides by its own share and the sum is taken, or the other way round: the loss grows with the ranks.", unseen: "Curves of one layout are compared with each other only.", law: "one rank with 2 N tokens equals two ranks with N" },
  { variant: "MeanOfMeans", title: "The mean of means", seen: "torchtitan PR#2206; transformers#34242; prime-rl PR#1960", wrong: "Each rank takes the mean over its own tokens, and these means are averaged. A token on a rank with few tokens weighs more.", unseen: "With equally many tokens everywhere it is right.", law: "every token has the same weight" },
  { variant: "GlobalBalanceTooSmall", title: "A balance loss that shrinks with the ranks", seen: "Megatron#3672, PR#3769", wrong: "The balance loss over the global batch is divided by the number of ranks once more.", unseen: "Alpha is tuned anyway, at one number of ranks.", law: "alpha means the same on any number of ranks" },
  { variant: "AuxiliaryOfEveryShard", title: "A balance loss that grows with the micro-batches", seen: "megablocks#85", wrong: "Every shard adds its auxiliary loss whole, however few of the tokens it has.", unseen: "The loss of the task is right.", law: "losses do not depend on how a batch is cut" },
  { variant: "NormOfLocalExperts", title: "Clipping by one's own experts", seen: "ColossalAI#2192; fastmoe#29; Megatron PR#5916", wrong: "The norm of a rank counts the experts that it holds and not those of others.", unseen: "Each rank has a plausible norm; they are never compared.", law: "the norm counts each expert once, and is the same on all ranks" },
  { variant: "MeanOfNorms", title: "The mean of norms", seen: "DeepSpeed#8475", wrong: "Norms of ranks are averaged: 7.236 instead of 10.954 in the report.", unseen: "It is a number of the right size.", law: "the norm is that of all gradients as one vector" },
  { variant: "TwoClips", title: "Two optimisers that clip for themselves", seen: "Megatron#785", wrong: "Experts are clipped by the norm of experts, the rest by the norm of the rest.", unseen: "Both norms are bounded, as clipping promises.", law: "the norm does not depend on where experts live" },
  { variant: "ClipByOwnExperts", title: "Each rank clips the shared weights by its own factor", seen: "Automodel#3816", wrong: "The factor for weights that all hold is made with the experts of this rank in the norm.", unseen: "Replicas part by a little in each step.", law: "replicas hold the same bits after a step" },
  { variant: "ExpertReplicasNotReduced", title: "Replicas of experts that go their own ways", seen: "fairseq#4220", wrong: "Where there are more ranks than experts, several hold the same expert; their gradients are not summed.", unseen: "Each trains, on a part of the data.", law: "the ranks that hold an expert sum its gradient" },
  { variant: "RouterNotReduced", title: "A weight that is not summed", seen: "torchtitan#2387; Megatron#599, PR#619", wrong: "The gradient of a weight that all hold stays that of one rank.", unseen: "It trains on its own tokens; replicas drift apart slowly.", law: "replicas hold the same bits after a step" },
  { variant: "ScoresNotReduced", title: "Scores whose gradient is a partial sum", seen: "transformers PR#48205", wrong: "The router's gradient is what this rank's tokens say, and is never summed over ranks.", unseen: "The experts learn well, and balance hides the router.", law: "the router's gradient is that of one process" },
  { variant: "ExpertsReducedAsDense", title: "An expert that is taken for a dense layer", seen: "Megatron#1628", wrong: "Gradients of different experts are summed, since their tensors have one name and one shape on all ranks.", unseen: "Experts learn what is common to all.", law: "each parameter is summed over the ranks that hold it" },
  { variant: "ExpertsAllAlike", title: "The same experts on every rank", seen: "fastmoe PR#4", wrong: "All ranks draw from one seed, so expert 0 of each rank begins alike.", unseen: "They grow apart, slowly.", law: "first weights are those of one process" },
  { variant: "WeightsByRank", title: "First weights that depend on the layout", seen: "modalities PR#426", wrong: "The seed of experts has the rank in it.", unseen: "Every run begins somewhere.", law: "first weights are those of one process" },
  { variant: "SharedWeightsByRank", title: "Shared weights that begin differently on each rank", seen: "Megatron-Bridge PR#5396", wrong: "A weight that all hold is drawn by each rank for itself and never broadcast.", unseen: "Gradients are summed rightly, at different places.", law: "replicas hold the same bits before the first step" },
  { variant: "SameMaskEverywhere", title: "The same noise on all ranks", seen: "transformers#31412; tt-metal#55947", wrong: "Every rank draws its masks from the same key.", unseen: "Dropout still drops its share.", law: "the noise of a shard is its own, whoever computes it" },
  { variant: "BiasByOwnCounts", title: "A router's bias that learns from one rank", seen: "what arXiv:2408.15664 asks of global counts", wrong: "The bias that balances experts is moved by the counts of this rank.", unseen: "Load is balanced, on each rank for itself.", law: "replicas hold the same bits after a step" },
  { variant: "NoTokensNoBackward", title: "A rank without tokens that does not walk back", seen: "Megatron PR#4851; PaddleFormers PR#3010", wrong: "A rank that has nothing to learn from skips its backward walk, in which the others wait for it.", unseen: "Batches are full, but for the last of an epoch.", law: "no rank waits for ever, whatever the tokens" },
  { variant: "BranchOnData", title: "A collective behind a condition", seen: "vllm#43547; Megatron#5749", wrong: "A rank calls one more collective where its data ask for it.", unseen: "Data of one kind take one branch.", law: "the sequence of calls is the same on all ranks" },
  { variant: "UnusedExpertsStandStill", title: "Experts without tokens that are passed over", seen: "Automodel PR#2995", wrong: "An expert that no token chose has no gradient instead of zeros: moments do not fade and weights do not decay.", unseen: "Rarely chosen experts are looked at rarely.", law: "no tokens give zeros, not nothing" },
  { variant: "SavesOneRanksExperts", title: "One rank's experts saved as those of all", seen: "KempnerForge#202; UniRL PR#158; verl#2086", wrong: "Every rank writes the experts of the first one, or only the first one writes.", unseen: "Resumed at once, the loss is a little worse.", law: "a checkpoint holds what the ranks held" },
  { variant: "LoadsFirstExperts", title: "All ranks load the first experts", seen: "DeepSpeed#6589; vllm PR#51130", wrong: "The part of a tensor that a rank reads begins at 0 on every rank.", unseen: "Shapes fit.", law: "expert e has the weights of expert e" },
  { variant: "MomentsOfOtherExperts", title: "Moments that go to other experts", seen: "DeepSpeed#8147, PR#8198", wrong: "In a conversion the state of the optimiser is mixed between ranks, while weights are right.", unseen: "The first loss after loading is right.", law: "the state of an optimiser follows its expert" },
  { variant: "WeightsNeverCopied", title: "Weights that are marked as loaded", seen: "Automodel PR#2682", wrong: "The loader reads all tensors and copies none of them.", unseen: "No name is missing.", law: "after loading, weights are those that were saved" },
];

/** What is not rebuilt, and why. */
// prettier-ignore
export const namedOnly: readonly { readonly bug: string; readonly seen: string; readonly why: string }[] = [
  { bug: "Gradients of balance and z-loss that depend on the tensor-parallel size", seen: "Megatron PR#5047", why: "no layer here is split inside of a matrix; the law of the same alpha is that of the variants above" },
  { bug: "The backward of all-gather as a slice", seen: "Automodel PR#1260", why: "each collective's rule is checked against differences, to second order, in test/distributed/communicator.test.ts" },
  { bug: "Router probabilities through an all-gather without gradient", seen: "Automodel PR#2995", why: "probabilities do not travel here: a rank weighs its own tokens" },
  { bug: "NaN from rows that nobody wrote", seen: "transformers PR#48205", why: "memory is poisoned by the guarded heap of the wasm backend (test/backend)" },
  { bug: "A right loss and a wrong router gradient under one kernel", seen: "transformers#48687", why: "kernels are held to their compositions, gradients included, on every backend (test/backend/suites/fused.ts)" },
  { bug: "A reshape of a buffer of size 0", seen: "Megatron#1877", why: "reshape is total; ranks and experts without tokens are drawn in every law of layouts" },
  { bug: "A combine that waits for ranks that received nothing", seen: "sgl-kernel-npu#69; tt-metal#55996", why: "an exchange is one collective here, which every rank enters with counts of zero too" },
  { bug: "Capacity from local counts", seen: "DeepSpeed#6809", why: "the sizes of blocks are exchanged before them; a rank cannot assume those of others" },
  { bug: "A key without the rank overwrites shards", seen: "Megatron#1836, #4200", why: "the name of a file is made from the rank in one place, and the law of checkpoints reads all of them back" },
  { bug: "Recomputation that decides a near-tie otherwise", seen: "Automodel PR#2635, #3156; torchtitan PR#1593", why: "recompute replays int32 decisions (test/autograd)" },
  { bug: "Duplicates in replayed indices", seen: "verl PR#4986", why: "rows are counted from the same choices that are dispatched" },
];
