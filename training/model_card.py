"""Fills the figures of the model card: `python -m training.model_card --summary "as is"=results/.../summary.json`.

The card's prose is written by hand; what stands between its two marks is written here, from the summaries that
`training.evaluate` makes and the note that `training.train_policy` leaves. It knows the figures' words only.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CARD = Path("src/dynasor/engines/builtin_model/MODEL_CARD.md")
BEGIN, END = "<!-- figures: python -m training.model_card -->", "<!-- end of the figures -->"
_Summary = Mapping[str, Any]


def table(summaries: Mapping[str, _Summary]) -> str:
    """A Markdown table: a column for each summary, a row for each figure that any of them has."""
    columns = [figures(summary) for summary in summaries.values()]
    rows = list(dict.fromkeys(row for column in columns for row in column))
    lines = [["", *summaries], ["---"] * (len(summaries) + 1)]
    lines += [[row, *(column.get(row, "") for column in columns)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figures(summary: _Summary) -> dict[str, str]:
    """The figures of a summary, in words."""
    told = {
        "problems x samples": f"{summary['questions']} x {summary['samples_per_question']}",
        "problems of": f"the {summary['split']} split, seed {summary['seed']}",
        "weights of 1, 2, ... steps": _listed(summary["steps"]),
        "weights of the three tiers": _listed(summary["tiers"]),
        "temperature": f"{summary['temperature']:g}",
        "accuracy of one sample": _percent(summary["accuracy_at_1"]),
    }
    for size in (5, 10, 20, 40):
        if f"majority_at_{size}" in summary:
            told[f"majority of {size}"] = _percent(summary[f"majority_at_{size}"])
    told["one of all samples right"] = _percent(summary["pass_at_all"])
    for zone, share in summary["zones"].items():
        told[f"{zone} problems"] = _percent(share)
    told["Pearson, certaindex at 5 against samples needed"] = _number(summary["certaindex_to_samples_needed"], 2)
    told["mean samples needed"] = _number(summary["mean_samples_needed"], 1)
    told["mean tokens of a sample"] = f"{summary['mean_tokens']:.0f}"
    told["samples without an answer"] = f"{summary['no_answer_share']:.2%}".replace("%", " %")
    for steps, share in summary["accuracy_by_steps"].items():
        told[f"accuracy at {steps} step{'s' * (steps != '1')}"] = _percent(share)
    for tier, share in summary["accuracy_by_tier"].items():
        told[f"accuracy at tier {tier}"] = _percent(share)
    return told


def training_line(note: _Summary) -> str:
    """How long the model was trained, from `training.json`."""
    return (
        f"Trained for {note['seconds'] / 60:.0f} minutes on {note['tokens'] / 1e6:.1f} million tokens"
        f" ({note['steps']:,} steps), seed {note['settings']['seed']}."
    )


def reward_table(summary: _Summary) -> str:
    """What `training.evaluate_reward` found: a column for the reward model, one for what costs nothing."""
    names = {"reward model": summary["reward_model"], "mean log-probability": summary["mean_log_probability"]}
    columns = [_ranking(found) for found in names.values()]
    lines = [["", *names], ["---"] * (len(names) + 1)]
    lines += [[row, *(column[row] for column in columns)] for row in columns[0]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ranking(found: _Summary) -> dict[str, str]:
    size, gains = found["samples"], found["gain_over_plain_vote"]
    low, high = found["auc_within_question_interval"]
    told = {
        "AUC within a question": f"{found['auc_within_question']:.3f} [{low:.3f}, {high:.3f}]",
        "questions with right and wrong samples": str(found["questions_with_both"]),
        "AUC over all questions (a trap)": f"{found['auc_pooled']:.3f}",
        "one sample": _percent(found["single"]),
        f"plain vote of {size}": _percent(found["plain_vote"]),
    }
    for name, words in (("best_of", f"best of {size}"), ("weighted_vote", f"weighted vote of {size}")):
        low, high = gains[name]["interval"]
        told[words] = (
            f"{_percent(found[name])} ({100 * gains[name]['mean']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}])"
        )
    return told


def filled(card: str, text: str) -> str:
    """The card with `text` between its marks.

    Raises:
        ValueError: where it lacks one of the marks.
    """
    head, begin, rest = card.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the card lacks the marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float | None, places: int) -> str:
    """None where too few problems were solved to say."""
    return "unknown" if value is None else f"{value:.{places}f}"


def _listed(weights: list[float]) -> str:
    return ", ".join(f"{weight:g}" for weight in weights)


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.rpartition("=")
    return name, Path(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=_named, nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--training", type=Path, help="the training.json of the policy")
    parser.add_argument("--reward", type=Path, help="what training.evaluate_reward wrote")
    parser.add_argument("--card", type=Path, default=CARD)
    given = parser.parse_args()
    parts = [table({name: json.loads(path.read_text()) for name, path in given.summary})]
    if given.reward:
        parts.append("The reward model, on the same samples (in brackets the gain over the plain vote, in points):")
        parts.append(reward_table(json.loads(given.reward.read_text())))
    if given.training:
        parts.insert(0, training_line(json.loads(given.training.read_text())))
    given.card.write_text(filled(given.card.read_text(encoding="utf-8"), "\n\n".join(parts)), encoding="utf-8")


if __name__ == "__main__":
    main()
