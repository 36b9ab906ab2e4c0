/** Is its floor 1, alpha or k? Without alpha it is 1 at balance; it can fall below; layers add up. */
import { tensor } from "switchyard-moe";
import { loadBalance } from "switchyard-moe/moe";

/** E sum f P for rows of probabilities, each token at the expert given for it. */
function loss(probabilities: number[][], choice: number[]): number {
  const probs = tensor([probabilities], { dtype: "float64" });
  const expertOfChoice = tensor([choice.map((expert) => [expert])], { dtype: "int32" });
  return loadBalance({ probs, expertOfChoice }).itemSync();
}

console.log("even:                ", loss([[0.5, 0.5], [0.5, 0.5]], [0, 1])); // prettier-ignore
console.log("one takes all, surely:", loss([[1, 0], [1, 0]], [0, 0])); // prettier-ignore
console.log("below 1:             ", loss([[0.5, 0, 0.5], [0, 0.5, 0.5]], [0, 1])); // prettier-ignore
console.log("alpha 0.01, 12 sparse layers, all even:", (12 * 0.01 * loss([[0.5, 0.5], [0.5, 0.5]], [0, 1])).toFixed(2)); // prettier-ignore
