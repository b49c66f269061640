"""Runs under a token budget or with shadow programs, as options ask for them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import dynasor
from dynasor.calibration.policy_file import PolicyFile, write_policy_file
from dynasor.cli import main
from dynasor.errors import SettingsDiffer, UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import ProgramFinished, RunStarted


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def policy_file(**promise: str | float) -> str:
    stated = {"tolerance_points": 2.0, "confidence": 0.95, "effort_percent_most": 60.0, "changed_percent_most": 8.0}
    write_policy_file(PolicyFile(policy="decided+beta:confidence=0.8", promise=stated | promise), Path("policy.toml"))
    return "policy.toml"


def run(**options: object) -> "dynasor.RunTally":
    return dynasor.run(**({"trace": "svamp", "cap": 6, "limit": 40} | options))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"token_budget": 500, "policy": "even"}, "--token-budget divides the tokens itself"),
        ({"token_budget": 500, "in_flight": True}, "--token-budget waits for what it grants"),
        ({"token_budget": 500, "shadow": 0.1}, "--token-budget follows no policy; leave one out"),
        ({"token_budget": 500, "algorithm": "mcts"}, "--token-budget judges by votes"),
        ({"token_budget": 39}, "is 39, which is less than a token for each of 40 problems; raise it"),
        ({"token_budget": 0}, "the token budget is 0; it must be at least 1"),
        ({"token_budget": 1.5}, "the token budget is 1.5; it must be a whole number"),
        ({"shadow": 0.1, "in_flight": True}, "--shadow waits for what it grants"),
        ({"shadow": 0.1, "policy": "even"}, "the policy is even; choose another"),
        ({"shadow": 0.1, "algorithm": "weighted-sc", "scorer": "brevity"}, "--shadow judges by votes"),
        ({"shadow": 0.0}, "the shadow is 0.0; it must be above 0 and at most 1"),
        ({"shadow": 0.1, "policy": "missing.toml"}, "cannot read the policy file missing.toml"),
    ],
)
def test_what_means_nothing_together_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        run(**options)
    assert not Path("runs").exists()


def test_a_policy_file_without_a_promise_cannot_be_watched() -> None:
    write_policy_file(PolicyFile(policy="decided"), Path("bare.toml"))
    with pytest.raises(UsageError, match="promises nothing that can be watched"):
        run(shadow=0.1, policy="bare.toml")


@pytest.mark.slow
def test_a_run_with_shadows_tells_what_it_measured_and_against_which_promise() -> None:
    tally = run(shadow=0.5, policy=policy_file(), out=Path("out"))
    assert 10 <= tally.shadows.count <= 30
    assert tally.alarm is None
    told = "at most 2 points below even, at most 8 % of the answers changed, at most 60 % of the cap taken; 95 %"
    assert str(tally.summary()["promise"]).startswith(told)
    assert tally.shadows.saving.estimate().value > 0.2
    assert run(shadow=0.5, policy=policy_file(), out=Path("out")).summary() == tally.summary(), "a resume adds nothing"
    with pytest.raises(SettingsDiffer, match=r"promise was 'at most 2 points .* and is now 'at most 1 points"):
        run(shadow=0.5, policy=policy_file(tolerance_points=1.0), out=Path("out"))
    with pytest.raises(SettingsDiffer, match=r"shadow was 0\.5 and is now 0\.25"):
        run(shadow=0.25, policy=policy_file(), out=Path("out"))


def test_a_policy_without_a_file_is_held_to_the_usual() -> None:
    tally = run(shadow=1.0)
    assert tally.promise == "at most 0.5 points below even, at most 0.5 % of the answers changed; 95 % confidence"
    assert tally.shadows.count == 40


@pytest.mark.slow
def test_a_broken_promise_is_told_on_standard_error_and_on_the_page() -> None:
    policy = policy_file(effort_percent_most=20.0)
    arguments = ["run", "--trace", "svamp", "--cap", "6", "--limit", "500", "--policy", policy, "--shadow", "0.2"]
    result = CliRunner().invoke(main, [*arguments, "--out", "out"])
    assert result.exit_code == 0
    assert "dynasor: alarm: effort above calibration: " in result.stderr
    assert "where at most 20.00 % were to be expected, after " in result.stderr
    assert result.stderr.count("alarm") == 1
    assert "problems that had not started get even allocation" in result.stderr
    assert "would have saved" in result.stdout
    assert '"alarm": {' in Path("out/summary.json").read_text()
    finished = [record for record in read_journal(Path("out/journal.jsonl")) if isinstance(record, ProgramFinished)]
    assert sum(record.policy == "even" for record in finished) > 20
    for record in (next(r for r in finished if r.policy == "even"), next(r for r in finished if r.shadow is not None)):
        shown = CliRunner().invoke(main, ["show", "out", "--problem", record.program])
        assert shown.exit_code == 0
        assert "Shown as it was written" not in shown.output
        assert "ends otherwise" not in shown.output
    again = CliRunner().invoke(main, [*arguments, "--out", "out"])
    assert "dynasor: alarm: effort above calibration: " in again.stderr, "a resumed run says so too"


@pytest.mark.slow
def test_a_budget_is_kept_and_is_told_apart_from_others() -> None:
    tally = run(token_budget=4000)
    assert 3500 < tally.saving.spent < 4000 + 64 * 100
    assert tally.stops["budget"] + tally.stops["settled"] + tally.stops["cap"] == 40
    run(token_budget=3000)
    run(shadow=0.5, policy=policy_file())
    names = {directory.name for directory in Path("runs").iterdir()}
    assert {name for name in names if "tokens4000" in name or "tokens3000" in name or "shadow0.5" in name} == names
    assert len(names) == 3
    (first, *_) = read_journal(Path("runs") / next(n for n in names if "tokens4000" in n) / "journal.jsonl")
    assert isinstance(first, RunStarted)
    assert (first.settings["token_budget"], first.settings["policy"]) == (4000, "budget")


def test_a_problem_of_a_run_with_a_budget_can_be_looked_into() -> None:
    run(token_budget=3000, out=Path("out"))
    result = CliRunner().invoke(main, ["show", "out", "--problem", "svamp-0"])
    assert result.exit_code == 0
    assert "branch answer" in result.output
    assert "Shown as it was written" not in result.output
    assert "ends otherwise" not in result.output
