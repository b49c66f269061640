"""Small traces of every kind that the study of traces reads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from dynasor.datasets.problem import Recording

Row = dict[str, Any]

PROBED: Row = {
    "id": "p1",
    "question": "?",
    "gold": "B",
    "samples": [
        {
            "answer": "B",
            "tokens": 110,
            "correct": True,
            "probes": [
                {"f": f / 5, "tok": 20 * f, "a": answer, "p": 0.9, "m": mass, "H": 0.1}
                for f, (answer, mass) in enumerate(
                    [("A", 0.9), ("A", 0.9), ("A", 0.1), ("B", 0.9), ("B", 0.9), ("B", 0.9)]
                )
            ],
        }
    ],
}
STEPWISE: Row = {
    "id": "s1",
    "question": "?",
    "gold": "7",
    "samples": [
        {
            "answer": "7.0",
            "tokens": 60,
            "correct": True,
            "steps": [{"a": "7", "tok": 30}, {"a": None, "tok": 20}, {"a": "7.0", "tok": 10}],
        }
    ],
}
BEAM: Row = {
    "id": "b1",
    "gold": "x",
    "samples": [
        {
            "answer": "y",
            "tokens": 10,
            "correct": False,
            "run": "best_of_n/r0",
            "reward": 0.2,
            "step_rewards": [0.9, 0.2],
        },
        {
            "answer": "x",
            "tokens": 12,
            "correct": True,
            "run": "best_of_n/r1",
            "reward": 0.8,
            "step_rewards": [0.5, 0.8],
        },
        {"answer": "x", "tokens": 90, "correct": True, "run": "beam_search/r0", "reward": 0.9, "step_rewards": [0.9]},
        {"answer": "y", "tokens": 80, "correct": False, "run": "beam_search/r1", "reward": 0.1, "step_rewards": [0.1]},
    ],
}
LOGIT: Row = {
    "id": "l1",
    "gold": "x",
    "samples": [
        {"answer": "x", "tokens": 10, "correct": True, "reward": 0.0},
        {"answer": None, "tokens": 10, "correct": False, "reward": -4.0},
        {"answer": "y", "tokens": 10, "correct": False, "reward": 4.0},
    ],
}
LOGGED: Row = {
    "id": "g1",
    "question": "4 5 6 10",
    "gold": "24",
    "steps": [
        {"depth": 0, "candidates": ["a\n", "b\n"], "values": [30.0, 60.0], "selected": [1, 0]},
        {"depth": 1, "candidates": ["a\nAnswer: 4 * 6\n", "b\nno\n"], "values": [60.0, 0.0], "selected": [0, 1]},
    ],
    "final": ["a\nAnswer: 4 * 6\n", "b\nno\n"],
    "final_correct": [True, False],
    "api_completion_tokens": 500,
}


def write_trace(path: Path, *rows: Row) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


def write_samples(path: Path, recordings: Iterable[Recording]) -> None:
    """Recordings as a trace, in which `a` is right."""
    rows = [
        {
            "id": recording.problem.id,
            "samples": [
                {"answer": s.answer, "tokens": s.tokens, "correct": s.answer == "a"} for s in recording.samples
            ],
        }
        for recording in recordings
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
