/**
 * Uniform numbers by the 24-bit hash that every backend shares. Every intermediate is a whole number below 2^24, exact in
 * float32; masks of 12 bits are floors, because shader languages disagree about bit operations on negative numbers.
 */
import { kernelSource } from "./grid.ts";
import type { Program } from "../device.ts";

const scalars = [0, 1, 2, 3].flatMap((k) => [`m${k}`, `a${k}`]);

/** `name` = `value` mod 4096. */
function low12(name: string, value: string): string {
  return `${name} = ${value}; ${name} = ${name} - Math.floor(${name} * 0.000244140625) * 4096.0;`;
}

function round(k: number): string {
  return `${low12("s", `right + a${k}`)} ${low12("t", "Math.floor(s * s * 0.03125)")} ${low12("t", "t + s")}
  ${low12("t", `Math.floor(t * m${k} * 0.015625)`)} ${low12("t", "t + left")} left = right; right = t;`;
}

/** `n` numbers; the scalars are the rounds, because they change with every call. */
export function uniform(n: number): Program {
  const body = `const i = this.thread.x * 1.0; let left = Math.floor(i * 0.000244140625); let right = i - left * 4096.0;
  let s = 0.0; let t = 0.0;
  ${[0, 1, 2, 3].map(round).join("\n  ")}
  return (left * 4096.0 + right) * ${2 ** -24};`;
  return { threads: [n], source: kernelSource(0, scalars, body) };
}
