/** What is made of the results, a few sentences for each claim, written after they were seen. */
export const readings: Readonly<Record<number, string>> = {
  1:
    "At equal steps Switch is ahead of dense by a few hundredths of a bit; in seconds it is behind, since routing costs half a step here and a tenth to a fifth on " +
    "an accelerator. Switch and top-2 are as close as in the paper, and what the paper explains the flip of their sign by is there: top-2 loses more than Switch " +
    "where the factor falls from 2 to 1.",
  2:
    "Nothing diverges, as was said before. The cause that the paper names is there and is small: with a bfloat16 router a few more tokens in a thousand change their expert, " +
    "and one in a hundred is left with a tie. At two blocks and eight experts no training notices.",
  3: "The mean is better with 0.1, on every seed but few; the spread over seeds is of the same size at both scales, for nothing is unstable in two blocks.",
  4: "",
  5:
    "More experts are better, and the returns diminish as in the paper, only much sooner: from 16 experts on there is nothing to gain. The paper's curve goes on to 256, with a " +
    "hundred million times as much text.",
  6:
    "At equal steps, and so at equal FLOPs, Switch is ahead; at equal seconds dense is, by more. A step of a small model on one thread is mostly launches, of which routing " +
    "adds many, while the paper's accelerators spend their time in products. The large dense model shows the same from the other side: its 3.5 times the FLOPs cost little more " +
    "than a step of Switch.",
  7:
    "The order of the recipes is the paper's: distillation alone gives least, shared weights more, labels mixed in still more. That shared weights help by themselves " +
    "contradicts the paper, as expected: a student that begins with weights of 600 steps and learns for 400 more has a head start, which is why it even passes its teacher. " +
    "With longer training on both sides the head start would be forgotten.",
  8:
    "The opposite of the paper, and clear: experts in attention cost quality at this size. In 400 steps three routers for each block learn their choices slowly, and what is short is the hidden " +
    "width, not the attention. The prices of a step are in the paper's order, and higher.",
  9:
    "Sampling is clearly worse, and by as much as published. Input dropout is a little worse, as published. Jitter cannot be told from argmax with so few seeds: the two papers that " +
    "contradict each other on it differ by less than seeds do here.",
  10: "Rerouting does what it is for, and three quarters of the drops vanish; the bits hardly change.",
  11:
    "The loss evens the load as published and does not cost quality; a ten times larger one does not either. Without it the load is uneven but does not collapse, unless the router's " +
    "first weights are steep: then a few experts take nearly everything, two fifths of the bytes are dropped, and the loss at 0.01 prevents it. Over the batch an even load takes no specialisation away.",
  12:
    "Quality is nearly flat from factor 1 on and worse at 0.5, as published. Drops are higher than the paper's typical one per cent at factor 1 and close to it at 1.25: a batch of " +
    "512 bytes is a small crowd. A larger factor costs no time here, because empty slots are passed over.",
  13:
    "Either loss evens the load several times over, as published, and the two differ in the published way, faintly. Quality is the surprise: without any loss it is no worse and perhaps a little " +
    "better, because eight experts with twice the slots that an even load needs overflow little; in the paper one expert of 256 took eighteen times its share.",
  14:
    "Load is even by construction, and the share of tokens with three, four and more experts is near the published one. A faster training is not seen: in 150 steps the encoder's experts decide " +
    "little. Switch drops fewer tokens early than published, since an encoder of eight scripts spreads its first choices.",
  15:
    "z-loss shrinks the logits and costs nothing, but stability, its purpose, is no issue in two blocks. Dropout costs, as published; the RMS scale helps, a twentieth of the published amount. " +
    "Gates do not help at equal FLOPs in so short a training. That the decoder's routing is less certain than the encoder's, given the byte, shows even here.",
  16:
    "The bias balances better than the loss, at equal quality, as published: MaxVio of all bytes together falls to the paper's 0.05. A step of 0.001 does as well as 0.01 and swings less " +
    "from batch to batch.",
  17:
    "The clearest result of all. Balance within each sequence makes every script use every expert; over the batch, experts specialise at the same even load. Quality follows where the loss is strong.",
  18:
    "Sparse is ahead of dense; among the sparse forms nothing is told apart for certain. Finer experts tell much more of the language and may be a little better; the shared expert, which was " +
    "expected to help, does not.",
};
