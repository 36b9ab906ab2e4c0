/** The names of the routers that one can ask for; `routers.ts` says what each one is. */
export const routerNames = [
  "switch",
  "no-token-left-behind",
  "dropless",
  "dense-softmax",
  "noisy-top-k",
  "top-k",
  "gshard",
  "mixtral",
  "deepseek",
  "loss-free",
  "expert-choice",
  "expert-choice-capped",
  "soft",
  "hash",
  "balanced",
] as const;

export type RouterName = (typeof routerNames)[number];
