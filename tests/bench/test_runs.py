"""What is read of a run, and what is said of a directory that holds none."""

from pathlib import Path

import pytest

from dynasor.bench.runs import load_run
from dynasor.errors import UsageError
from dynasor.journal.journal import JournalWriter
from support.journals import SyntheticRun, finished, write_run
from support.runs import STATIC, written


class TestLoading:
    def test_a_run_is_its_settings_and_a_result_for_each_problem(self, tmp_path: Path) -> None:
        run = load_run(SyntheticRun(STATIC, cap=20, seed=3, count=7, effort=0.5).write(tmp_path / "a"))
        assert run.name == "a"
        assert run.settings["policy"] == STATIC
        assert run.seed == 3
        assert sorted(run.results) == [f"p{number}" for number in range(7)]

    def test_the_later_record_of_a_problem_holds(self, tmp_path: Path) -> None:
        run = written(tmp_path / "a", [finished("p", tokens=1), finished("q"), finished("p", tokens=2)])
        assert run.results["p"].tokens == 2
        assert len(run.results) == 2

    def test_spellings_of_one_answer_are_one_answer(self, tmp_path: Path) -> None:
        run = written(tmp_path / "a", [finished("p", answer="1,000"), finished("q", answer="1000")])
        assert run.results["p"].answer == run.results["q"].answer

    def test_a_missing_directory_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no such directory: .*/nowhere; name the directory of a run"):
            load_run(tmp_path / "nowhere")

    def test_a_file_is_no_run(self, tmp_path: Path) -> None:
        journal = SyntheticRun(count=2).write(tmp_path / "a") / "journal.jsonl"
        with pytest.raises(UsageError, match=r"journal\.jsonl is a file; name the directory"):
            load_run(journal)

    def test_a_directory_without_a_journal_is_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no journal\.jsonl in .*; name the directory of a run"):
            load_run(tmp_path)

    def test_a_directory_of_runs_tells_their_names(self, tmp_path: Path) -> None:
        for name in ("a", "b", "c", "d"):
            SyntheticRun(count=2).write(tmp_path / name)
        with pytest.raises(UsageError, match=r"it holds runs, name those: \S+/a \S+/b \S+/c \.\.\.$"):
            load_run(tmp_path)

    def test_names_that_a_shell_would_break_are_quoted(self, tmp_path: Path) -> None:
        SyntheticRun(count=2).write(tmp_path / "my run")
        with pytest.raises(UsageError, match=r"it holds runs, name those: '\S+/my run'$"):
            load_run(tmp_path)

    @pytest.mark.parametrize(
        ("command", "hint"),
        [
            ("/usr/bin/dynasor run --trace svamp --out runs/a", "dynasor run --trace svamp --out runs/a"),
            ("/lib/dynasor/__main__.py run --trace svamp", "dynasor run --trace svamp"),
            ("dynasor run --out 'my runs/a'", "dynasor run --out 'my runs/a'"),
            ("dynasor run --out don't", "dynasor run --out 'don'\"'\"'t'"),
            ("./mine.py", "./mine.py"),
            (None, "the command that began it"),
        ],
    )
    def test_a_run_that_has_finished_nothing_tells_how_to_go_on(
        self, tmp_path: Path, command: str | None, hint: str
    ) -> None:
        empty = write_run(tmp_path / "a", [], {"policy": "even"}, {"command": command})
        with pytest.raises(UsageError, match=rf"/a has no finished problem yet; resume it with {hint}$"):
            load_run(empty)

    def test_even_one_without_a_single_record(self, tmp_path: Path) -> None:
        (tmp_path / "journal.jsonl").touch()
        with pytest.raises(UsageError, match="resume it with the command that began it"):
            load_run(tmp_path)

    def test_results_without_settings_are_no_run(self, tmp_path: Path) -> None:
        with JournalWriter(tmp_path / "journal.jsonl") as journal:
            journal.append(finished("p"))
        with pytest.raises(UsageError, match="does not begin with the settings of a run"):
            load_run(tmp_path)
