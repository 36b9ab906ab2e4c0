/**
 * The main job: `npm start` trains a small Switch Transformer on the Universal Declaration of Human Rights in 32 languages and says
 * honestly what came of it. `npm start -- --help` lists commands and options.
 */
import { useBackend } from "switchyard-moe";
import { compare } from "./compare.ts";
import { exportModel } from "./exportModel.ts";
import { fillText } from "./fillText.ts";
import { generateText } from "./generateText.ts";
import { parseCommand } from "./options.ts";
import { traceText } from "./traceText.ts";
import { distil, finetune, resume, resumedBackend, train } from "./trainCommand.ts";
import { UserError } from "./userError.ts";

async function main(argv: readonly string[]): Promise<void> {
  const command = parseCommand(argv);
  if (command.command === "help") return console.log(command.text);
  const backend = await useBackend(command.command === "resume" ? resumedBackend(command.options) : command.options.backend);
  console.error(`backend ${backend.name}: ${backend.description}`);
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

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE" && error.code !== "EIO") throw error; // nobody reads any more: no fault of ours
});

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError) && !(error instanceof Error && error.name === "BackendError")) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
