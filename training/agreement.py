"""Whether the backends agree: `python -m training.agreement --model FOLDER --gguf FILE... [--vllm PYTHON]`.

The same held-out questions are answered greedily by Hugging Face transformers in float32, by llama.cpp for each GGUF
file and by vLLM in each dtype. Prints how many answers of each two are equal token for token; writes the differences.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from training.greedy import Prompt, Reference, Tokens
from training.greedy_llama import LlamaCpp
from training.problems import held_out

_EXPECTED_COUNT = 3
_VLLM_ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}


def first_difference(one: Tokens, two: Tokens) -> int | None:
    """The first place at which two answers differ; None: they are equal."""
    if one == two:
        return None
    both = zip(one, two, strict=False)
    return next((place for place, (left, right) in enumerate(both) if left != right), min(len(one), len(two)))


def differences(
    reference: Reference, prompts: Sequence[Prompt], one: Sequence[Tokens], two: Sequence[Tokens]
) -> Iterable[dict[str, object]]:
    """Where two backends part: the place, what each says from there on, and the gap between the two tokens' logits."""
    for number, (prompt, left, right) in enumerate(zip(prompts, one, two, strict=True)):
        place = first_difference(left, right)
        if place is None:
            continue
        parted = place < min(len(left), len(right))
        context = [*prompt.tokens, *left[:place]]
        yield {
            "prompt": number,
            "position": place,
            "continuations": [reference.tokenizer.decode(left[place:]), reference.tokenizer.decode(right[place:])],
            "logit_gap": round(reference.gap(context, left[place], right[place]), 5) if parted else None,
        }


def by_vllm(python: Path, folder: Path, dtype: str, prompts: Sequence[Prompt], max_tokens: int) -> list[Tokens]:
    """What vLLM of another environment answers."""
    script = Path(__file__).with_name("greedy_vllm.py")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "answers.json"
        command = [str(python), str(script), str(folder), dtype, str(max_tokens), str(out)]
        subprocess.run(  # noqa: S603 - the user's own python
            command,
            input=json.dumps([prompt.tokens for prompt in prompts]),
            env=os.environ | _VLLM_ENVIRONMENT,
            text=True,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        answers: list[Tokens] = json.loads(out.read_text())
    return answers


def asked(reference: Reference, given: argparse.Namespace) -> list[Prompt]:
    """The prompts of held-out questions."""
    questions = [problem.question for problem in held_out(given.seed, "test", given.prompts)]
    return reference.prompts(questions, thinking=given.thinking)


def write_expected(reference: Reference, prompts: Sequence[Prompt], max_tokens: int, path: Path) -> None:
    """Writes prompts with the answers of transformers, for the tests of the package to compare with."""
    answers = reference.continuations(prompts, max_tokens)
    texts = [reference.tokenizer.decode(answer, skip_special_tokens=True) for answer in answers]
    pairs = [{"prompt": prompt.text, "text": text} for prompt, text in zip(prompts, texts, strict=True)]
    path.write_text(json.dumps(pairs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def agreed(prompts: Sequence[Prompt], found: Mapping[str, Any]) -> list[Prompt]:
    """The prompts that all backends answered alike."""
    parted = {difference["prompt"] for pair in found["pairs"] for difference in pair["differences"]}
    return [prompt for number, prompt in enumerate(prompts) if number not in parted]


def report(reference: Reference, prompts: Sequence[Prompt], given: argparse.Namespace) -> dict[str, Any]:
    """Everything that was measured."""
    answers = {"transformers float32": reference.continuations(prompts, given.max_tokens)}
    alike: dict[str, int] = {}
    for gguf in given.gguf:
        with LlamaCpp(gguf, reference.end) as llama:
            answers[f"llama.cpp {gguf.stem}"] = llama.continuations(prompts, given.max_tokens)
            alike[gguf.name] = sum(llama.tokens(prompt.text) == prompt.tokens for prompt in prompts)
    for dtype in given.dtype if _is_there(given.vllm) else ():
        answers[f"vLLM {dtype}"] = by_vllm(given.vllm, given.model, dtype, prompts, given.max_tokens)
    return {
        "prompts": len(prompts),
        "seed": given.seed,
        "thinking": given.thinking,
        "max_tokens": given.max_tokens,
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "xllamacpp")},
        "prompts_tokenised_alike": alike,
        "pairs": [_pair(reference, prompts, answers, *names) for names in combinations(answers, 2)],
        "command": ["python", "-m", "training.agreement", *sys.argv[1:]],
    }


def _pair(
    reference: Reference, prompts: Sequence[Prompt], answers: dict[str, list[Tokens]], one: str, two: str
) -> dict[str, object]:
    found = list(differences(reference, prompts, answers[one], answers[two]))
    return {"backends": [one, two], "equal": len(prompts) - len(found), "differences": found}


def _is_there(python: Path | None) -> bool:
    """Whether vLLM can be asked; says so where it was wanted and cannot."""
    if python is None:
        return False
    asked = [str(python), "-c", "import importlib.util as found; raise SystemExit(found.find_spec('vllm') is None)"]
    if python.exists() and subprocess.run(asked, check=False).returncode == 0:  # noqa: S603 - the user's own python
        return True
    print(f"vLLM is left out: {python} does not have it (scripts/vllm-environment makes an environment that has)")
    return False


def _print(found: Mapping[str, Any]) -> None:
    for gguf, count in found["prompts_tokenised_alike"].items():
        print(f"{gguf}: {count} of {found['prompts']} prompts are tokenised alike")
    for pair in found["pairs"]:
        gaps = [difference["logit_gap"] for difference in pair["differences"]]
        told = f"; logit gaps where they part: {gaps}" if gaps else ""
        print(f"{' and '.join(pair['backends'])}: {pair['equal']} of {found['prompts']} equal{told}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a folder in Hugging Face's layout")
    parser.add_argument("--gguf", type=Path, nargs="+", required=True)
    parser.add_argument("--vllm", type=Path, help="the python of an environment with vLLM: .venv-vllm/bin/python")
    parser.add_argument("--dtype", nargs="+", default=["bfloat16", "float32"], help="of vLLM")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=320)
    parser.add_argument("--thinking", action="store_true", help="ask for thinking aloud")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("training/out/agreement.json"))
    parser.add_argument("--expected", type=Path, help="where to write a few prompts and answers for tests/engines")
    given = parser.parse_args()
    torch.set_num_threads(1)
    reference = Reference(given.model)
    prompts = asked(reference, given)
    found = report(reference, prompts, given)
    if given.expected:
        write_expected(reference, agreed(prompts, found)[:_EXPECTED_COUNT], given.max_tokens, given.expected)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    _print(found)


if __name__ == "__main__":
    main()
