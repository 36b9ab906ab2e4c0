/** A process that computes runs for us, one at a time: started when first needed, replaced when another program is asked for. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Answer, Order } from "./programs/serve.ts";

/** The process ended before it answered. */
export class LaneEnded extends Error {
  override readonly name = "LaneEnded";
}

export class Lane {
  #child: ChildProcess | null = null;
  #file = "";

  /** Runs an order in the program of a file. */
  async run(file: string, order: Order): Promise<Answer> {
    if (file !== this.#file) this.end();
    const child = (this.#child ??= fork(file, { execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] }));
    this.#file = file;
    return new Promise<Answer>((resolve, reject) => {
      const gone = (code: number | null, signal: string | null): void => {
        this.#child = null;
        reject(new LaneEnded(`the process of a run ended with ${signal ?? `code ${code}`}`));
      };
      child.once("exit", gone);
      child.once("message", (answer) => {
        child.off("exit", gone);
        resolve(answer as Answer);
      });
      child.send(order, (error) => void (error && gone(null, error.message)));
    });
  }

  /** Ends the process, whatever it is doing. */
  end(): void {
    this.#child?.kill("SIGKILL");
    this.#child = null;
  }
}
