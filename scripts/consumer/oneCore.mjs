// Imports every subpath of the installed package by the names given and shows that one core stands behind all of them.
import assert from "node:assert/strict";

const modules = new Map();
for (const specifier of process.argv.slice(2)) modules.set(specifier, await import(specifier));

const owners = new Map();
for (const [specifier, exported] of modules) {
  assert.notEqual(Object.keys(exported).length, 0, `${specifier} exports nothing`);
  for (const [name, value] of Object.entries(exported)) {
    const first = owners.get(name);
    if (first === undefined) owners.set(name, { specifier, value });
    else assert.equal(value, first.value, `${name} of ${specifier} is not that of ${first.specifier}`);
  }
}

const { Tensor, defaultBackend, key, tensor, useBackend } = modules.get("switchyard-moe");
const { Linear } = modules.get("switchyard-moe/nn");
const { FeedForwardExperts, MoE, SwitchRouter } = modules.get("switchyard-moe/moe");
const { checkGradients, routerLaws } = modules.get("switchyard-moe/testing");
const { cpu } = modules.get("switchyard-moe/backend");

// A backend chosen through "." is where ./nn and ./moe put their parameters, made by a class that "." knows.
const mine = cpu();
await useBackend(mine);
assert.equal(defaultBackend(), mine);
const random = key("one core");
const linear = new Linear(3, 2, { random });
const sizes = { experts: 2, width: 2, random };
const layer = new MoE({ router: new SwitchRouter(sizes), experts: new FeedForwardExperts({ ...sizes, hidden: 4 }) });
for (const parameter of [linear.weight, layer.experts.hidden]) {
  assert(parameter instanceof Tensor);
  assert.equal(parameter.backend, mine);
}

// One tape runs through all of them, and ./testing differentiates it.
const { output } = layer.forward(linear.forward(tensor([[[1, 2, 3]]])), {}, { training: false, random });
output.sum().backward();
assert.deepEqual(linear.weight.grad.shape, [3, 2]);
await checkGradients((x) => linear.forward(x), [tensor([[1, 2, 3]])]);

// The laws judge a router of the packed classes, on a backend that is not the one chosen above.
const make = ({ width, experts, random, dtype, initializer, group }) =>
  new SwitchRouter({ width, experts, random, dtype, initializer, group });
for (const law of routerLaws("packed", make, { runs: 5 })) law.check();
assert.equal(defaultBackend(), mine);

console.log(`${modules.size} entries, ${owners.size} names, one core`);
