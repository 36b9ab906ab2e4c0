/**
 * Lesson 26: expert gradients that are too large, and a loss curve that looks right. Where experts are spread over n ranks, each expert has
 * already computed the tokens of all of them. An implementation that averages their gradients over ranks like those of other parameters, or
 * multiplies them to correct for that, makes them n times too small or too large. Adam divides by the size of gradients, so the loss hardly
 * shows it.
 *
 * Expect: the right run and the broken one end at nearly the same loss. The law of layouts compares the gradients with those of one process
 * and refutes the broken one in a case of two ranks and a few tokens. (pytorch#160285, DeepSpeed PR#5259, megablocks PR#20.)
 */
import { BrokenLayout, layoutLaws } from "switchyard-moe/testing";
import { begin, short } from "./train/lesson.ts";
import { lossesOf } from "./train/ranks.ts";

await begin("Expert gradients n times too large");
const steps = short ? 4 : 40;
const [right, wrong] = [await lossesOf("RightRun", steps), await lossesOf("ExpertGradientsTimesRanks", steps)];
console.log("step   right   experts' gradients times two");
for (let step = 0; step < steps; step += Math.ceil(steps / 8))
  console.log(`${String(step).padStart(4)}  ${right[step].toFixed(4)}  ${wrong[step].toFixed(4)}`);
console.log(`last  ${right[steps - 1].toFixed(4)}  ${wrong[steps - 1].toFixed(4)}\n`);

const module = new URL("train/ranks.ts", import.meta.url).href;
for (const name of ["RightRun", "ExpertGradientsTimesRanks"]) {
  const [law] = layoutLaws(name, null, { variant: { module, export: name }, ranks: [2], runs: short ? 3 : 12, shrink: !short });
  const fault: unknown = await law.check().then(
    () => null,
    (error: unknown) => error,
  );
  if (fault !== null && !(fault instanceof BrokenLayout)) throw fault;
  console.log(fault ? fault.message : `${name} keeps the law "${law.name}"`);
}
