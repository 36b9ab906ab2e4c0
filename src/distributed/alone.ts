/** A world of one rank, on which distributed programs run in one process. */
import { Communicator } from "./communicator.ts";
import type { CommunicatorOptions } from "./communicator.ts";
import type { Flat } from "./flat.ts";
import type { Transport } from "./transport.ts";

/** Makes a communicator of one rank: its collectives copy within the process. Throws for unknown options. */
export function alone(options: CommunicatorOptions = {}): Communicator {
  return new Communicator(new Alone(), options);
}

class Alone implements Transport {
  readonly rank = 0;
  readonly size = 1;
  readonly description = "one process, alone";

  allToAllV(send: Flat, _sendCounts: readonly number[], receive: Flat): void {
    receive.set(send.subarray(0, receive.length));
  }

  allGather(send: Flat, receive: Flat): void {
    receive.set(send);
  }

  broadcast(): void {}

  barrier(): void {}

  split(): Transport {
    return new Alone();
  }

  abort(): void {}
}
