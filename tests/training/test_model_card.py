import json
import random
import sys
from pathlib import Path

import pytest
from training.figures import Answered, summary
from training.model_card import BEGIN, CARD, END, figures, filled, main, reward_table, table, training_line
from training.ranking import Scored
from training.ranking import summary as summarised

MADE_WITH = {"split": "test", "seed": 0, "steps": [1, 0.5], "tiers": [1], "temperature": 0.8}
MEASURED = summary([Answered("4", ("4",) * 3 + ("5",), (10,) * 4, 1, 0), Answered("7", ("1",) * 4, (20,) * 4, 2, 0)])
NOTE = {"seconds": 1680.1, "tokens": 8_646_428, "steps": 3535, "settings": {"seed": 0}}


def test_figures_are_those_of_the_summary() -> None:
    told = figures(MEASURED | MADE_WITH)
    assert told["accuracy of one sample"] == "37.5 %"
    assert told["problems x samples"] == "2 x 4"
    assert told["weights of 1, 2, ... steps"] == "1, 0.5"
    assert told["Pearson, certaindex at 5 against samples needed"] == "unknown", "one solved problem has no trend"
    assert (told["accuracy at 1 step"], told["accuracy at 2 steps"]) == ("75.0 %", "0.0 %")


def test_a_column_for_each_summary() -> None:
    other = MEASURED | MADE_WITH | {"majority_at_40": 0.9}
    lines = table({"one": MEASURED | MADE_WITH, "two": other}).splitlines()
    assert lines[:2] == ["|  | one | two |", "| --- | --- | --- |"]
    assert "| majority of 40 |  | 90.0 % |" in lines


def test_the_reward_model_is_told_with_its_intervals() -> None:
    rng = random.Random(0)
    answers = ("1", "2", "2", "2", "3", "1", "2", "2", "1", "2")
    scored = [Scored("1", answers, tuple((one == "1") + rng.random() for one in answers)) for _ in range(10)]
    lines = reward_table({"reward_model": summarised(scored), "mean_log_probability": summarised(scored)}).splitlines()
    assert lines[0] == "|  | reward model | mean log-probability |"
    assert lines[2].startswith("| AUC within a question | 1.000 [1.000, 1.000] |")
    assert "| best of 8 | " in lines[-2]


def test_how_long_it_was_trained() -> None:
    assert training_line(NOTE) == "Trained for 28 minutes on 8.6 million tokens (3,535 steps), seed 0."


def test_the_prose_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card, one = tmp_path / "CARD.md", tmp_path / "summary.json"
    card.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    one.write_text(json.dumps(MEASURED | MADE_WITH))
    (tmp_path / "training.json").write_text(json.dumps(NOTE))
    given = ["--summary", f"the run={one}", "--training", str(tmp_path / "training.json"), "--card", str(card)]
    monkeypatch.setattr(sys, "argv", ["model_card", *given])
    main()
    once = card.read_text()
    main()
    assert card.read_text() == once
    assert once.startswith(f"before\n{BEGIN}\n\nTrained for 28 minutes")
    assert once.endswith(f"|\n\n{END}\nafter\n")
    assert "| the run |" in once
    assert "old" not in once


def test_a_card_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        filled("# Card\n", "")


def test_the_shipped_card_has_the_marks() -> None:
    card = (Path(__file__).parents[2] / CARD).read_text()
    assert filled(card, "x").count(BEGIN) == 1
