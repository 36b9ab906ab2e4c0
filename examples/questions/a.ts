/** Top-k is not differentiable: how does the router learn? The gate multiplies the output; its derivative is compared with the formula. */
import { tensor } from "switchyard-moe";

const h = tensor([0.3, -0.2, 0.1], { dtype: "float64", requiresGrad: true }); // logits of one token for 3 experts
const output = tensor([1, 2], { dtype: "float64" }); // what the chosen expert, 0, returned
const dy = tensor([0.5, 1], { dtype: "float64" }); // the derivative of the loss by the layer's output

const p = h.softmax(-1);
const gate = p.narrow(0, 0, 1);
output.mul(gate).mul(dy).sum().backward();

const [p0, p1, p2] = p.dataSync();
const inner = output.mul(dy).sum().itemSync(); // <dy, E(x)>
const formula = [inner * p0 * (1 - p0), -inner * p0 * p1, -inner * p0 * p2];
console.log("by the tape   ", Array.from(h.grad?.dataSync() ?? [], (x) => x.toFixed(6)).join("  "));
console.log("by the formula", formula.map((x) => x.toFixed(6)).join("  "));
