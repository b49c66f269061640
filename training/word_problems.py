"""Writes the problem sets `words` and `words:calibration` that the package ships: `python -m training.word_problems`.

The same settings give the same bytes, and one question has one id, whatever the settings.
"""

import argparse
import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from training.problems import FULL_MIX, Mix, Split, WordProblem, held_out

PACKAGED = Path("src/dynasor/datasets/words")
FILES: dict[Split, str] = {"test": "words.jsonl.gz", "calibration": "words-calibration.jsonl.gz"}


def identity(question: str) -> str:
    """The id of a question: the same in every set that holds it."""
    return f"words-{hashlib.sha256(question.encode()).hexdigest()[:8]}"


def write_set(path: Path, problems: Sequence[WordProblem]) -> None:
    """Writes one problem a line, without a file name or a time in the file.

    Raises:
        ValueError: where two questions have one id.
    """
    lines = [_line(problem) for problem in problems]
    if len({line["id"] for line in lines}) < len(lines):
        raise ValueError("two questions have the same id; lengthen it")
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as out:
        out.writelines(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


def _line(problem: WordProblem) -> dict[str, object]:
    return {
        "id": identity(problem.question), "question": problem.question, "answer": str(problem.answer),
        "step_count": problem.step_count, "tier": problem.tier,
    }  # fmt: skip


def provenance(count: int, seed: int, mix: Mix) -> str:
    """The note beside the files."""
    steps, tiers = (",".join(f"{weight:g}" for weight in weights) for weights in (mix.step_weights, mix.tier_weights))
    return f"""{", ".join(FILES.values())}

What they are: {count} multi-step word problems each, all different, with the right answers, made by a program
(training/problems.py in the repository): for each the number of steps that it takes, and the tier of its numbers
(0: operands to 9, 1: to 30, 2: to 99). The built-in model was trained on other problems of that program; which problems
are for training, calibration and test is told by a hash of the question, so the sets are disjoint.

Where they come from: nowhere else. No text was taken from any other source. They are under the licence of the package
(MIT).

How to make them again, byte for byte:

    python -m training.word_problems --count {count} --seed {seed} --steps {steps} --tiers {tiers}
"""


def write_sets(out: Path, count: int, seed: int, mix: Mix) -> None:
    """Writes both sets and the note."""
    out.mkdir(parents=True, exist_ok=True)
    for split, name in FILES.items():
        write_set(out / name, held_out(seed, split, count, mix))
    (out / "PROVENANCE").write_text(provenance(count, seed, mix), encoding="utf-8")


def _weights(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PACKAGED)
    parser.add_argument("--count", type=int, default=1_000, help="problems in each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=_weights, default=FULL_MIX.step_weights, help="weights of 1, 2, ... steps")
    parser.add_argument("--tiers", type=_weights, default=FULL_MIX.tier_weights, help="weights of the operand tiers")
    given = parser.parse_args()
    write_sets(given.out, given.count, given.seed, Mix(given.steps, given.tiers))
    for name in FILES.values():
        print(f"{given.out / name}: {(given.out / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
