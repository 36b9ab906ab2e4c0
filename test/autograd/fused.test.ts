import { CpuBackend } from "switchyard-moe/backend";
import { fused } from "./suites/fused.ts";

fused("the CPU", () => new CpuBackend(), { dtype: "float64", tolerance: 1e-10, runs: 60, missing: ["attention", "linear", "logSumExp"] });
