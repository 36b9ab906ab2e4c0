/** Everything that autograd promises, on the reference device. */
import { useBackend } from "switchyard-moe";
import { errors } from "./suites/errors.ts";
import { gradients } from "./suites/gradients.ts";
import { laws } from "./suites/laws.ts";
import { numbers } from "./suites/numbers.ts";
import { tape } from "./suites/tape.ts";

describe("autograd on the CPU", () => {
  before(() => useBackend("cpu"));
  gradients(25);
  laws();
  numbers();
  errors();
  tape();
});
