"""The likeliest continuations of prompts, by vLLM on the processor; runs in an environment that has vLLM.

`python training/greedy_vllm.py FOLDER DTYPE MAX_TOKENS OUT.json < PROMPTS.json`: lists of token numbers in and out.
"""

import json
import sys
from pathlib import Path

from vllm import LLM, SamplingParams


def main() -> None:
    """The command line."""
    folder, dtype, max_tokens, out = sys.argv[1:]
    prompts = json.load(sys.stdin)
    engine = LLM(model=folder, dtype=dtype, max_model_len=1024, max_num_seqs=32, enforce_eager=True)
    settings = SamplingParams(temperature=0, max_tokens=int(max_tokens))
    answered = engine.generate([{"prompt_token_ids": prompt} for prompt in prompts], settings, use_tqdm=False)
    Path(out).write_text(json.dumps([list(one.outputs[0].token_ids) for one in answered]))


if __name__ == "__main__":
    main()
