/**
 * The main job: `npm start` trains a small Switch Transformer on the Universal Declaration of Human Rights in 32 languages and says
 * honestly what came of it. `npm start -- --help` lists commands and options.
 */
import { availableParallelism } from "node:os";
import { useBackend } from "switchyard-moe";
import type { Backend, BackendName } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import { startedRanks } from "switchyard-moe/distributed";
import { compare } from "./compare.ts";
import { exportModel } from "./exportModel.ts";
import { fillText } from "./fillText.ts";
import { generateText } from "./generateText.ts";
import { launch, obeyLauncher } from "./launch.ts";
import { parseCommand } from "./options.ts";
import type { Command } from "./options.ts";
import { threadsEach } from "./processes.ts";
import { traceText } from "./traceText.ts";
import { distil, finetune, processesOf, resume, resumedBackend, train } from "./trainCommand.ts";
import { UserError } from "./userError.ts";

/** Which of how many processes this is; null: no launcher started it. */
const started = startedRanks();

async function main(argv: readonly string[]): Promise<void> {
  const command = onStarted(parseCommand(argv));
  if (command.command === "help") return console.log(command.text);
  const processes = processesOf(command);
  if (processes > 1 && !started) return void (process.exitCode = await launch(processes));
  obeyLauncher();
  const backend = await useBackend(await backendOf(command));
  if (!started?.rank) console.error(`backend ${backend.name}: ${backend.description}`);
  switch (command.command) {
    case "train":
      return command.options.compare ? compare(command.options) : train(command.options);
    case "finetune":
      return finetune(command.options);
    case "distil":
      return distil(command.options);
    case "fill":
      return fillText(command.options);
    case "resume":
      return resume(command.options);
    case "generate":
      return generateText(command.options);
    case "trace":
      return traceText(command.options);
    case "export":
      return exportModel(command.options);
  }
}

/** The command as mpirun or srun started it: on as many processes as there are. */
function onStarted(command: Command): Command {
  if (!started) return command;
  const { size: processes } = started;
  if (command.command === "train" && command.options.processes === 1) return { ...command, options: { ...command.options, processes } };
  if (command.command === "resume" && command.options.processes === 0) return { ...command, options: { ...command.options, processes } };
  return command;
}

/** What computes; the threads of WebAssembly are shared out among the processes of a host. */
async function backendOf({ command, options }: Exclude<Command, { command: "help" }>): Promise<BackendName | Backend> {
  const name = command === "resume" ? resumedBackend(options) : options.backend;
  const threads = "threads" in options ? options.threads : 0;
  const shares = started !== null && started.size > 1;
  if ((threads === 0 && !shares) || name === "cpu" || name === "gpu") return name;
  return wasm({ threads: threads || threadsEach(availableParallelism()) });
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE" && error.code !== "EIO") throw error; // nobody reads any more: no fault of ours
});

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError) && !(error instanceof Error && error.name === "BackendError")) throw error;
  // All processes get the same arguments; the first of them reports the mistake and ends the others.
  if (started?.rank) await new Promise((resolve) => setTimeout(resolve, 1500));
  console.error(error.message);
  process.exitCode = error instanceof UserError ? error.exitCode : 1;
}
