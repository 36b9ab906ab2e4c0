/** The sizes that all cases of layouts share. D width, F hidden width, V classes, T tokens of a sequence. */
export const [D, F, V, T] = [4, 5, 3, 3] as const;
