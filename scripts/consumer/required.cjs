// Loads every entry of the installed package by `require`, as CommonJS code does, and computes with what it got.
"use strict";
const assert = require("node:assert/strict");

for (const specifier of process.argv.slice(2)) {
  const names = Object.keys(require(specifier));
  assert.notEqual(names.length, 0, `${specifier} exports nothing`);
}
const { Tensor, key, tensor } = require("switchyard-moe");
const { Linear } = require("switchyard-moe/nn");
assert.equal(tensor([1, 2]).sum().itemSync(), 3);
assert(new Linear(2, 2, { random: key(1) }).weight instanceof Tensor); // one core behind both
console.log(`${process.argv.length - 2} entries by require`);
