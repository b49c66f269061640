from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.allocation.allocator import InRounds
from dynasor.bench.probed_replays import Reached, Way, follow, limited
from dynasor.datasets.probed_traces import Probe, ProbedChain
from dynasor.programs.probed import ProbedCot
from dynasor.programs.probing import Probing
from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Finish, Recorded, Report, Request
from support.programs import PROBLEM, setup

ROUND, PROBE = 100, 5


def chain_of(told: Sequence[str | None], own: str | None = "9") -> ProbedChain:
    """A chain with a probe after every round, that ends in the round after the last."""
    probes = tuple(Probe(ROUND * number, answer) for number, answer in enumerate(told, 1))
    return ProbedChain(own, ROUND * (len(told) + 1), probes)


@pytest.mark.parametrize(
    ("window", "told", "reached"),
    [
        (2, "1223", Reached("2", 300 + 3 * PROBE, cut=True)),
        (3, "1223", Reached("9", 500 + 4 * PROBE)),
        (3, "1222", Reached("2", 400 + 4 * PROBE, cut=True)),
        (2, "11", Reached("1", 200 + 2 * PROBE, cut=True)),
        (2, "1", Reached("9", 200 + PROBE)),
    ],
)
def test_a_chain_is_cut_where_its_last_probes_agree(window: int, told: str, reached: Reached) -> None:
    assert follow(chain_of(told), Way("cut", window=window), PROBE) == reached


def test_plain_pays_for_no_probe_and_guided_for_all() -> None:
    chain = chain_of("2222")
    assert follow(chain, Way("plain"), PROBE) == Reached("9", 500)
    assert follow(chain, Way("guided"), PROBE) == Reached("9", 500 + 4 * PROBE)
    assert follow(chain, Way("guided", every=2), PROBE) == Reached("9", 500 + 2 * PROBE)


def test_only_every_other_probe_is_asked() -> None:
    assert follow(chain_of("1213"), Way("cut", every=2, window=2), PROBE).cut is False
    assert follow(chain_of("1232"), Way("cut", every=2, window=2), PROBE) == Reached("2", 410, cut=True)


def test_an_unsure_probe_has_no_answer() -> None:
    probes = (Probe(100, "1", 0.9), Probe(200, "1", 0.4), Probe(300, "1", 0.9), Probe(400, "1", 0.5))
    chain = ProbedChain("9", 500, probes)
    assert follow(chain, Way("cut", window=2, least_mass=0.5), 0) == Reached("1", 400, cut=True)
    assert follow(chain, Way("cut", window=2), 0) == Reached("1", 200, cut=True)


def test_a_limited_chain_has_what_its_last_probe_told() -> None:
    chain = limited(chain_of("1234"), 250)
    assert chain == ProbedChain(None, 250, chain_of("12").probes, ended=False)
    assert follow(chain, Way("plain"), PROBE) == Reached(None, 250)
    assert follow(chain, Way("guided"), PROBE) == Reached("2", 250 + 2 * PROBE)
    assert follow(limited(chain, 50), Way("guided"), PROBE) == Reached(None, 50)


def test_a_limit_beyond_its_end_changes_nothing() -> None:
    chain = chain_of("12")
    assert limited(chain, chain.tokens) is chain


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["1", "2", None]), max_size=8), st.sampled_from([2, 3, 5]))
def test_the_program_comes_to_the_same(told: list[str | None], window: int) -> None:
    way = Way("cut", window=window)
    live = Live(told, window, way).outcome
    reached = follow(chain_of(told), way, PROBE)
    assert (live.answer, live.tokens, live.stopped_by == "certain") == (reached.answer, reached.tokens, reached.cut)


class Live:
    """The program itself, streaming a chain that a report interrupts after every round."""

    def __init__(self, told: Sequence[str | None], window: int, way: Way) -> None:
        program = type("Cot", (ProbedCot,), {"settings": Probing(interval=ROUND, window=window)})
        self.session = Session(program(PROBLEM, setup(len(told) + 1)), InRounds(way.policy))
        self.told = iter(told)
        self.rounds = 0
        self.main: list[Request] = []
        self.ended: list[Outcome] = []
        self.apply(self.session.start(0.0))
        for number in range(1, len(told) + 1):
            if not self.ended:
                self.rounds = number
                self.apply(self.session.report(Report(id=self.main[0].id, text="Hm.", tokens=ROUND * number), 0.0))
        if not self.ended:
            own = Completion(id=self.main[0].id, tokens=ROUND * (len(told) + 1), recorded=Recorded("9"))
            self.apply(self.session.land(own, 0.0))

    @property
    def outcome(self) -> Outcome:
        return self.ended[0]

    def apply(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Submit((request,)) if request.report_every:
                    self.main.append(request)
                case Submit((request,)):
                    answer = next(self.told)
                    text = f"{answer}}} \\]" if answer else "torn"
                    self.apply(self.session.land(Completion(id=request.id, text=text, tokens=PROBE), 0.0))
                case Cancel((id,)):
                    cut = Completion(id=id, finish=Finish.CANCELLED, tokens=ROUND * self.rounds)
                    self.apply(self.session.land(cut, 0.0))
                case Finished(outcome):
                    self.ended.append(outcome)
