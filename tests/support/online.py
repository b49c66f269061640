"""A small recording for the online evaluation: problems that all samples get right, some, or none."""

import json
from pathlib import Path
from random import Random

PROBLEMS, SAMPLES = 48, 20


def write_recording(path: Path, *, wrong_first: bool = False) -> Path:
    """A third of the problems of each difficulty; harder ones have longer answers.

    Args:
        path: of the file to write.
        wrong_first: let the short samples be wrong where samples differ.
    """
    rng = Random(0)
    lines = [json.dumps(_problem(number, rng, wrong_first)) for number in range(PROBLEMS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _problem(number: int, rng: Random, wrong_first: bool) -> dict[str, object]:
    level = number % 3
    samples = []
    for place in range(SAMPLES):
        right = level == 0 or (level == 1 and place % 3 > 0)
        tokens = 20 * (level + 1) + rng.randrange(10)
        if wrong_first and level == 1 and not right:
            tokens = 5
        answer = "7" if right else "8" if wrong_first else str(10 + place)
        samples.append({"answer": answer, "tokens": tokens, "correct": right})
    return {"id": f"p{number}", "question": f"How much is {number}?", "gold": "7", "samples": samples}
