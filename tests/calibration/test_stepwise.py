"""Runs of searches and chains, played again to be stopped at every knob."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.answers.grouping import ByNormalForm
from dynasor.calibration.stepwise import Untold, came_to, stepwise
from dynasor.datasets.problem import Problem
from dynasor.launch.past import PastProgram, past_programs
from dynasor.launch.remade import remade_policy, remade_program, run_settings
from dynasor.programs.program import Program
from dynasor.programs.replay import replay
from dynasor.programs.session import Session
from dynasor.request import Completion, Request
from support.past_runs import branch, chain, past


def step(request: Request) -> Completion:
    """A step that ends its path now and then; answers differ from path to path."""
    index = request.id.index
    ends = index % 2 == 1
    text = f"step {index}" + (f" so the answer is {2 + index % 3}" if ends else "")
    return Completion(
        id=request.id, text=text, tokens=3 + index, reward=0.3 + (index * 7 % 10) / 20, mean_logprob=-0.1,
        stopped_at=None if ends else "\n",
    )  # fmt: skip


def played(directory: Path) -> tuple[PastProgram, Callable[[], Program]]:
    """A problem of a run, and what makes its program."""
    done = past_programs(directory)["p"]
    settings = run_settings(done.settings)
    assert done.finished is not None
    problem = Problem("p", done.finished.question, done.finished.gold)
    return done, partial(remade_program, settings, problem, ByNormalForm)


@pytest.mark.parametrize(
    ("algorithm", "model"),
    [("sc", branch), ("weighted-sc", branch), ("best-of-n", branch), ("mcts", step), ("probed-cot", chain)],
)
def test_up_to_its_cap_a_program_comes_to_what_it_came_to(
    algorithm: str, model: Callable[[Request], Completion], tmp_path: Path
) -> None:
    done, make = played(past(tmp_path / "run", algorithm, model, cap=6))
    assert done.finished is not None
    assert came_to(make, done.happened) == (done.finished.answer, done.finished.tokens)
    path = stepwise(make, done.happened)
    assert (path.spent[-1], path.same[-1]) == (done.finished.tokens, True)
    assert path.right[-1] == done.finished.correct
    assert [each.knob for each in path.progress] == list(range(path.end + 1))
    assert list(path.spent) == sorted(path.spent)


@pytest.mark.parametrize(("algorithm", "model"), [("sc", branch), ("weighted-sc", branch), ("mcts", step)])
@pytest.mark.parametrize("knob", [1, 2, 4])
def test_at_every_knob_it_is_the_program_that_a_policy_stops_there(
    algorithm: str, model: Callable[[Request], Completion], knob: int, tmp_path: Path
) -> None:
    done, make = played(past(tmp_path / "run", algorithm, model, cap=6))
    path = stepwise(make, done.happened)
    policy = remade_policy(f"static:threshold=0.0,detect_at={knob}")
    outcome = replay(Session(make(), InRounds(policy)), done.happened, 0.0).outcome
    assert outcome is not None
    stopped = path.stopped_at(policy)
    assert (path.spent[stopped], path.progress[stopped].certaindex) == (outcome.tokens, outcome.certaindex)
    assert path.right[stopped] == float(outcome.answer == "2")


def test_a_chain_that_is_stopped_costs_what_it_had_written_by_then(tmp_path: Path) -> None:
    done, make = played(past(tmp_path / "run", "probed-cot:interval=32", chain, cap=12))
    path = stepwise(make, done.happened)
    assert done.finished is not None
    settled = next(n for n, each in enumerate(path.progress) if n and each.certaindex == 1.0)
    assert path.right[settled] == 1.0
    assert path.spent[settled] < done.finished.tokens
    assert path.spent[1] < 3 * 32 + 20, "a round, what came while the probe was out, and two probes"


def test_a_journal_that_ends_too_early_is_told_of(tmp_path: Path) -> None:
    done, make = played(past(tmp_path / "run", "sc", branch, cap=6))
    with pytest.raises(Untold, match="the journal does not hold what problem 'p' asks for"):
        stepwise(make, done.happened[:3])
    assert came_to(make, done.happened[:3]) is None
