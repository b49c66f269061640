from pathlib import Path

import pytest
from training.problems import Mix, held_out, split_of
from training.word_problems import identity, provenance, write_set, write_sets

from dynasor.datasets.problem_sets import BUILT_IN, problem_set

SHORT = Mix((1, 1), (1,))


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_sets(tmp_path / folder, 3, 0, SHORT)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["PROVENANCE", "words-calibration.jsonl.gz", "words.jsonl.gz"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_package_reads_what_is_written(tmp_path: Path) -> None:
    drawn = held_out(1, "test", 3, SHORT)
    write_set(tmp_path / "set.jsonl.gz", drawn)
    assert [(problem.question, problem.gold) for problem in problem_set(str(tmp_path / "set.jsonl.gz"))] == [
        (problem.question, str(problem.answer)) for problem in drawn
    ]


@pytest.mark.parametrize(("name", "split"), [("words", "test"), ("words:calibration", "calibration")])
def test_the_shipped_problems_are_of_their_splits_and_keep_their_ids(name: str, split: str) -> None:
    for problem in problem_set(name):
        assert split_of(problem.question) == split
        assert problem.id == identity(problem.question)


def test_two_questions_of_one_id_are_refused(tmp_path: Path) -> None:
    (drawn,) = held_out(1, "test", 1, SHORT)
    with pytest.raises(ValueError, match="same id"):
        write_set(tmp_path / "set.jsonl.gz", [drawn, drawn])


def test_the_note_tells_the_command() -> None:
    command = "--count 5 --seed 2 --steps 1,0.5 --tiers 1"
    assert provenance(5, 2, Mix((1, 0.5), (1,))).endswith(f"python -m training.word_problems {command}\n")


def test_the_shipped_files_are_small() -> None:
    assert sum(path.stat().st_size for path in BUILT_IN.values()) < 200_000
