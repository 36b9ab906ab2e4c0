/** What is made of the results, a few sentences for each claim, written after they were seen. */
export const readings: Readonly<Record<number, string>> = {
  1:
    "In the paper's own measure nothing parts Switch from dense after 1,000 steps: the experts' gain has not come yet. Among the " +
    "sparse models the published differences come out nearly as published, though only the " +
    "first is resolved: at factor 2 top-2 is ahead of Switch by 0.007 nats, and at factor 1 Switch by 0.009. In the causal model, " +
    "whose every byte is predicted, Switch is ahead of dense by a few hundredths of a bit, " +
    "and top-2 loses more than Switch where the factor falls. The price of a step over dense is about the paper's; what it buys in " +
    "400 steps is not, so in seconds Switch is behind. Steps of top-2 and of Switch take " +
    "about as long as each other here.",
  2:
    "Nothing diverges, as was said before, in either model. The cause that the paper names is there and is small: with a bfloat16 " +
    "router one or two more tokens in a thousand change their expert, and one in a " +
    "hundred is left with a tie. No training of so few blocks and eight experts notices.",
  3:
    "The mean is better with 0.1 in both models, by a seventh of what was published where spans are filled in. The surprise is the " +
    "spread over seeds: in the encoder-decoder it is six times larger at scale 1.0, in the " +
    "published direction, though nothing diverges; in the causal model it is of the same size at both scales. Two stacks and " +
    "cross-attention are enough to make first steps at scale 1.0 a matter of luck.",
  4:
    "A miss. With 50 words the models over-fit by a bit, and expert dropout does narrow the gap, but dropout everywhere narrows it " +
    "far more, and helps on held-out words where the paper saw harm. " +
    "In the first form, where 200 words were not over-fitted, 0.3 everywhere was worse than 0.1 by 0.21 bits, as in the paper, and " +
    "expert dropout made no difference. So the remedy depends on how " +
    "far a model over-fits, and in one this small much of what is learned by heart sits in embeddings, attention and head, outside " +
    "the experts.",
  5:
    "Where spans are filled in, the paper's claim fails at this size, as was said before: a doubling of the experts costs 0.003 nats " +
    "instead of gaining 0.03, an interval that leaves 0 out by a hair, and 8 experts are " +
    "0.010 nats behind dense. Experts are a wider feed-forward layer of which a token sees a part, and there more width gained " +
    "nothing even for the dense model; what is left is that each expert sees fewer " +
    "tokens. In the causal model more experts are better and the returns diminish as in the paper, only much sooner: beyond 16 " +
    "experts there is nothing to gain. The paper's curve goes on to 256, with far more text " +
    "for each.",
  6:
    "At equal steps, and so at equal FLOPs, Switch is ahead; at equal seconds dense is, by more. The 400 steps of Switch are worth " +
    "about 450 of dense and take as long as 560. The price is " +
    "near that of the paper's table 1; the gain, 7.5 times fewer steps there, is what a short training does not have. The large " +
    "dense model, whose FLOPs cost little more than a step of Switch here, is " +
    "about as good in equal time.",
  7:
    "Where spans are filled in, two parts of the recipe are resolved: mixing in labels gains 0.018 nats, what was published, and the " +
    "whole recipe is ahead of dense by 0.023, if by a hair. Distillation alone and shared " +
    "weights alone gain perhaps 0.01 each, and their intervals hold 0; the head start that was expected of shared weights is not " +
    "seen, for the teacher is hardly ahead of dense itself. " +
    "In the causal model the recipes come in the paper's order: distillation alone gives least, shared weights with the teacher " +
    "alone more, and labels mixed in most. But nearly all of it comes from the shared weights, which " +
    "help as much without any distillation; that contradicts the paper, as expected. A student that begins with weights of 600 steps " +
    "and learns for 400 more has a head start, so long that it passes its teacher: its " +
    "share is above 1. With longer training on both sides the head start would be forgotten.",
  8:
    "A miss in the paper's favour. Where spans are filled in, the means are the paper's own to the third digit, +0.035 and +0.024 " +
    "nats. With five seeds that is chance: the intervals hold 0 as well as " +
    "twice as much. Harm was expected, from the causal model, where the outcome is the opposite of the paper's, and clear. The two " +
    "differ in what is short: predicting bytes, it is the hidden width; filling in " +
    "spans, it is not (claim 5), and experts in attention seem to do better than experts in the feed-forward place. Their training " +
    "loss is higher, for a token that found no slot has no key then; when they are " +
    "scored, nothing is dropped. The prices of a step are in the paper's order, and higher.",
  9:
    "Sampling is worse in both models: by half of what was published where bytes are predicted, by a fourteenth where spans are " +
    "filled in and experts hardly matter. Input dropout is a little worse, as published, in " +
    "the causal model alone. Jitter cannot be told from argmax in either. Where spans are filled in, the interval leaves room for " +
    "the 0.003 nats that Switch gained from it, not for the 0.022 that ST-MoE lost.",
  10:
    "Rerouting does what it is for: three quarters of the drops vanish, in both models. In the paper's measure nothing comes of it, " +
    "as published: the difference is within 0.005 nats of nothing. In the causal model the bits " +
    "change by about a hundredth, which five seeds tell neither from nothing nor from a small benefit.",
  11:
    "The loss evens the load as published and costs no quality; a ten times larger one does not either. Without it the load is " +
    "uneven and differs much between seeds, but does not collapse, unless the router's first " +
    "weights are steep: then a few experts take nearly everything, two fifths of the bytes are dropped, and the loss at 0.01 " +
    "prevents it. Over the batch an even load takes no specialisation away.",
  12:
    "Quality is nearly flat from factor 1 on and worse at 0.5. At 1.25 about one per cent is dropped, the paper's typical share; at " +
    "1, eight: a batch of 512 bytes is a small crowd. A larger factor costs no time " +
    "here, because empty slots are passed over.",
  13:
    "Either loss evens the load several times over, as published, and the two differ in the published way, faintly. Quality is the " +
    "surprise: without any loss it is no worse, perhaps a little better. The most loaded of " +
    "eight experts has 1.8 times its share then, which costs few bytes their slot; in the paper one of 256 had 18 times its share.",
  14:
    "Load is even by construction, and the shares of tokens with three, four and more experts are near the published ones. A faster " +
    "training is not seen: in 150 steps the encoder's experts decide little. Early on Switch " +
    "drops fewer tokens than published.",
  15:
    "The z-loss shrinks the logits and costs nothing; stability, its purpose, is no issue in two blocks. Where spans are filled in, " +
    "what is resolved is as published, and smaller: dropout costs " +
    "0.052 nats of the published 0.067, and the RMS scale is worth 0.014, a nineteenth of the published amount. Gates, jitter and " +
    "z-loss are within 0.008 nats of nothing there; of jitter ST-MoE reported a loss of 0.022. " +
    "In the causal model it is the same, faintly. That the decoder's routing is less certain than the encoder's, given the byte, " +
    "shows even here.",
  16:
    "The bias balances better than the loss at equal quality, as published: MaxVio of all bytes together falls to the paper's 0.04 to " +
    "0.06. A step of 0.001 does as well as 0.01 and swings less from batch to batch.",
  17:
    "The clearest result of all. Balance within each sequence makes every script use every expert; over the batch, experts specialise " +
    "at the same even load. Quality follows where the loss is strong.",
  18:
    "Sparse is ahead of dense; among the sparse forms nothing is told apart for certain. Finer experts tell far more of the language " +
    "and may be a little better; the shared expert, which was expected to help, does not.",
};
