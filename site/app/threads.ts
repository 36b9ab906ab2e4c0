/** Threads and papers that a text cites, as links. */

/** Where the threads of a project are that is cited by its name alone. */
const repositories: Readonly<Record<string, string>> = {
  pytorch: "pytorch/pytorch",
  torchtitan: "pytorch/torchtitan",
  fairseq: "facebookresearch/fairseq",
  transformers: "huggingface/transformers",
  DeepSpeed: "microsoft/DeepSpeed",
  Megatron: "NVIDIA/Megatron-LM",
  "Megatron-Bridge": "NVIDIA-NeMo/Megatron-Bridge",
  Automodel: "NVIDIA-NeMo/Automodel",
  megablocks: "databricks/megablocks",
  fastmoe: "laekov/fastmoe",
  ColossalAI: "hpcaitech/ColossalAI",
  vllm: "vllm-project/vllm",
  verl: "volcengine/verl",
  "tt-metal": "tenstorrent/tt-metal",
  PaddleFormers: "PaddlePaddle/PaddleFormers",
  modalities: "Modalities/modalities",
};

/** HTML with links to issues and pull requests ("org/name#1", "vllm PR#2", a later "#3" of the same project) and to arXiv. */
export function linked(text: string): string {
  let repository = ""; // of "#2" in "org/name#1, fixed in #2"
  return text
    .replace(
      /(?:([\w-]+\/[\w.-]+)|([\w-]+(?= PR#|#)) ?)?(?:PR)?#(\d+)/g,
      (thread, full: string | undefined, short: string | undefined, number: string) => {
        // prettier-ignore
        const named = full ?? short;
        if (named !== undefined && named !== "PR") repository = full ?? repositories[named] ?? "";
        return repository === "" ? thread : `<a href="https://github.com/${repository}/issues/${number}">${thread}</a>`;
      },
    )
    .replace(/\barXiv:(\d{4}\.\d{4,5})/g, '<a href="https://arxiv.org/abs/$1">$&</a>');
}
