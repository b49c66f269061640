"""Walks by look-up stop where the policies themselves stop, at every cap."""

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Beta, Even, Length, Windows
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.curve import Curve
from dynasor.allocation.decided import Decided
from dynasor.allocation.hopeless import Hopeless
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.answers.grouping import ByText
from dynasor.bench.offline_replays import replays_of, shortened
from dynasor.bench.replays import oracle_branches
from dynasor.engines.recorded import RecordedEngine
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.runtime.drive import drive
from support.profiles import synthetic

RECORDINGS = synthetic(12, 10, seed=3)
POLICIES: tuple[Policy, ...] = (
    Even(),
    StaticThreshold(0.7, 3),
    SteppedThreshold(0.6, 3, 1),
    Curve("1@3/0.5@6", 3, 1),
    Beta(0.9),
    Windows(3),
    Hopeless(0.5, 3, 3),
    Length(40, 3),
    FirstToStop((Decided(), FirstToStop((Beta(0.9), SteppedThreshold(0.6, 3, 1))))),
    FirstToStop((Decided(), Length(40, 3))),
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
@pytest.mark.parametrize("cap", [10, 6])
def test_a_walk_takes_the_tokens_of_a_session(policy: Policy, cap: int) -> None:
    replays = replays_of(RECORDINGS, 10, 2)
    replays = shortened(replays, cap) if cap < 10 else replays
    samples = {recording.problem.id: recording.samples for recording in RECORDINGS}
    for recording, replay in zip(RECORDINGS, replays, strict=True):
        for seed, path in enumerate(replay.paths):
            session = Session(SelfConsistency(recording.problem, Setup(cap=cap, grouping=ByText)), InRounds(policy))
            outcome = drive(session, RecordedEngine(samples, seed=seed))
            knob = path.stopped_at(policy)
            assert (knob, path.tokens(knob)) == (outcome.knob, outcome.tokens)
            assert path.right[knob] == float(outcome.answer == "a")


def test_a_smaller_cap_is_the_same_as_a_replay_at_it() -> None:
    long, short = replays_of(RECORDINGS, 10, 2), replays_of(RECORDINGS, 6, 2)
    for one, other in zip(shortened(long, 6), short, strict=True):
        for cut, own in zip(one.paths, other.paths, strict=True):
            assert (cut.progress, cut.right, cut.oracle) == (own.progress, own.right, own.oracle)
            assert cut.oracle == oracle_branches(cut.answers)
