"""A small task of Inspect's against a server: run in .venv-clients with a folder for its log; prints JSON.

The server's address is in GATEWAY_BASE_URL, as Inspect has it for any OpenAI-compatible server.
"""

import json
import sys

import inspect_ai
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

QUESTIONS = [
    ("Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?", "19"),
    ("Mia has 5 coins. Then Mia gets 6 more coins. How many coins does Mia have now?", "11"),
    ("Tom has 9 books. Then Tom gets 4 more books. How many books does Tom have now?", "13"),
]


def main() -> None:
    samples = [Sample(input=question, target=answer) for question, answer in QUESTIONS]
    config = GenerateConfig(max_tokens=128, seed=7, temperature=0.7)
    task = inspect_ai.Task(dataset=samples, solver=generate(), scorer=includes(), config=config, name="sums")
    (log,) = inspect_ai.eval(
        task, model=["openai-api/gateway/builtin@sc:cap=9"], log_dir=sys.argv[1], log_format="json", display="none"
    )
    results = {
        "status": log.status,
        "error": None if log.error is None else log.error.message,
        "samples": len(log.samples or []),
        "accuracy": log.results.scores[0].metrics["accuracy"].value if log.results else None,
        "tokens": sum(usage.output_tokens for usage in log.stats.model_usage.values()),
    }
    print(json.dumps(results))  # noqa: T201


main()
