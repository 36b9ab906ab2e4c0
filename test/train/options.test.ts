import { expect } from "chai";
import { helpText, parseCommand, trainDefaults, type Command } from "../../examples/train/options.ts";
import { UserError } from "../../examples/train/userError.ts";

const parse = (line: string) => parseCommand(line.split(" ").filter((word) => word !== ""));
const train = (line: string) => {
  const command = parse(line);
  if (command.command !== "train") throw new Error(`${line} is ${command.command}`);
  return command.options;
};

describe("the command line", () => {
  it("trains with every default when nothing is typed", () => {
    expect(parse("")).to.deep.equal({ command: "train", options: trainDefaults() });
    expect(parse("train")).to.deep.equal(parse(""));
  });

  it("changes what is typed and nothing else", () => {
    const typed = train("--steps 7 --lr=1e-4 --capacity-factor none --compare --languages eng,kor");
    expect(typed).to.deep.equal({
      ...trainDefaults(),
      steps: 7,
      lr: 1e-4,
      capacityFactor: Infinity,
      compare: true,
      languages: "eng,kor",
    });
  });

  it("lets the last of two win", () => {
    expect(train("--seed 1 --seed 2").seed).to.equal(2);
  });

  it("knows its other commands", () => {
    const commands: Command[] = ["resume --from runs/a", "generate --from m.safetensors --top-p 0.9", "trace --from m --text=--x"].map(
      parse,
    );
    expect(commands.map(({ command }) => command)).to.deep.equal(["resume", "generate", "trace"]);
    expect(commands[1]).to.have.nested.property("options.topP", 0.9);
    expect(commands[2]).to.have.nested.property("options.text", "--x");
  });

  it("has help wherever it is asked", () => {
    for (const line of ["help", "--help", "-h", "--steps 3 --help"])
      expect(parse(line)).to.deep.equal({ command: "help", text: helpText() });
    for (const line of ["generate --help", "help generate", "generate --from x -h"])
      expect(parse(line)).to.deep.equal({ command: "help", text: helpText("generate") });
  });
});

describe("the help", () => {
  it("shows every option of training with its default", () => {
    const help = helpText();
    for (const [key, value] of Object.entries(trainDefaults())) {
      const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      const line = new RegExp(`^  --${name} .*(\n {26}.*)*`, "m").exec(help)?.[0];
      expect(line, name).to.be.a("string");
      if (typeof value === "number") expect(line).to.include(`[${value}]`);
      if (typeof value === "string" && value !== "") expect(line).to.include(`[${value}]`);
    }
  });

  it("shows the options of one command where it is asked of that", () => {
    const help = helpText("generate");
    expect(help)
      .to.match(/^npm start -- generate \[options\]/)
      .and.include("--top-p");
    expect(help).not.to.match(/--experts|^train: /m);
  });

  it("fits a terminal of 120 columns and names the commands", () => {
    for (const line of helpText().split("\n")) expect(line.length, line).to.be.at.most(120);
    for (const command of ["train", "resume", "generate", "trace"]) expect(helpText()).to.match(new RegExp(`^${command}: `, "m"));
  });
});

describe("a mistake on the command line", () => {
  const mistakes: Record<string, string> = {
    "--stpes 5": "train: --stpes is no option; did you mean --steps",
    "-x": "train: -x is no option; --help lists them",
    "--steps": "--steps needs a value: --steps N",
    "--steps --seed 1": "--steps needs a value: --steps N",
    "--steps 0": '--steps: "0" is not a whole number of at least 1',
    "--steps 1.5": '--steps: "1.5" is not a whole number of at least 1',
    "--steps ten": '--steps: "ten" is not a whole number of at least 1',
    "--lr=": '--lr: "" is not a number above 0',
    "--lr -1": '--lr: "-1" is not a number above 0',
    "--jitter 2": '--jitter: "2" is not a number from 0 to 1',
    "--alpha Infinity": '--alpha: "Infinity" is not a number of at least 0',
    "--backend cup": '--backend: "cup" is not one of auto, cpu, wasm, gpu',
    "--compare --architecture encoder-decoder":
      "only decoders are compared, byte by byte of the held-out articles; distil trains a dense model",
    "--compare=yes": '--compare takes no value, but was given "yes"',
    "--steps 5 6": 'train: "6" is not expected; options begin with --',
    "--heads 5": "--width 64 --heads 5: 5 heads do not divide a width of 64",
    "--overwrite": "--overwrite replaces the run in --out FOLDER, which is missing",
    "--data a --languages latin": "--data a --languages latin: one or the other",
    "generte --from x": "generte is no command; did you mean generate?",
    generate: "generate: --from FILE is missing",
    "trace --from x": "trace: --text TEXT is missing",
    "resume --lr 1": "resume: --lr is no option; --help lists them",
  };
  for (const [line, message] of Object.entries(mistakes)) {
    it(`is one line: ${line}`, () => {
      expect(() => parse(line))
        .to.throw(UserError, message)
        .with.property("message")
        .not.include("\n");
    });
  }
});
