/** The same promises on a device that takes its time and cannot be read at once: nothing in autograd waits. */
import { useBackend } from "switchyard-moe";
import { AsyncBackend } from "../backend/asyncBackend.ts";
import { errors } from "./suites/errors.ts";
import { gradients } from "./suites/gradients.ts";
import { laws } from "./suites/laws.ts";
import { numbers } from "./suites/numbers.ts";
import { tape } from "./suites/tape.ts";

describe("autograd on the asynchronous double", () => {
  before(() => useBackend(new AsyncBackend()));
  after(() => useBackend("cpu"));
  gradients(3);
  laws();
  numbers();
  errors();
  tape();
});
