/** A device that has a kernel for the sum of squares of float32 arrays: the reference device, which counts how often it ran. */
import type { FusedKernels } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/cpuBackend.ts";

export class MeasuringBackend extends CpuBackend {
  override readonly name = "measuring";
  /** How often its kernel ran. */
  measured = 0;
  override readonly fused: FusedKernels = {
    sumOfSquares: (xs) => {
      this.measured++;
      const numbers = xs.flatMap((x) => {
        if (x.dtype !== "float32") throw new TypeError(`sumOfSquares: ${x.dtype}: this kernel reads float32`);
        return [...this.downloadSync(x.buffer, x)];
      });
      return this.upload({ shape: [], dtype: "float32" }, Float32Array.of(numbers.reduce((sum, v) => sum + v * v, 0)));
    },
  };
}
