/** What is made of the results, a sentence or a few for each claim, written after they were seen. */
export const readings: Readonly<Record<number, string>> = {};
