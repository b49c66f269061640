"""Probed chains of thought, stepped with plain lists."""

from collections.abc import Callable

import pytest

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.threshold import SteppedThreshold
from dynasor.answers.grouping import ByText
from dynasor.errors import UsageError
from dynasor.programs.chains import Chain
from dynasor.programs.probed import Probed, ProbedCot, ProbedSelfConsistency
from dynasor.programs.probing import Probing, hesitates, within_brace
from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Finish, Message, ProgramId, Report, Request, RequestId, Sampling
from support.programs import PROBLEM, setup

ROUND = 10
CERTAIN = SteppedThreshold(threshold=1.0, detect_at=2, step=1)


class Cot(ProbedCot):
    settings = Probing(interval=ROUND, window=2)


class Joined(ProbedSelfConsistency):
    settings = Probing(interval=ROUND, window=2, chains=3)


class Play:
    """Streams chains of known text, `ROUND` tokens a turn, and answers probes by what the chain has written."""

    def __init__(self, session: Session, chain: Callable[[int, int], str], probe: Callable[[str], str], rounds: int):
        self.session, self.chain, self.probe, self.rounds = session, chain, probe, rounds
        self.running: dict[RequestId, Request] = {}
        self.probes: list[Request] = []
        self.cut: list[int] = []
        self.outcome: Outcome | None = None
        self.apply(session.start(0.0))

    def apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Submit(requests):
                    for request in requests:
                        (self.start if request.report_every else self.answer)(request)
                case Cancel(ids):
                    for id in ids:
                        self.cut.append(id.index)
                        del self.running[id]
                        self.apply(self.session.land(Completion(id=id, finish=Finish.CANCELLED, tokens=99), 0.0))
                case Finished(outcome):
                    self.outcome = outcome

    def start(self, request: Request) -> None:
        self.running[request.id] = request

    def answer(self, request: Request) -> None:
        self.probes.append(request)

    def run(self) -> Outcome:
        for turn in range(1, self.rounds + 1):
            for id in list(self.running):
                text = self.chain(id.index, turn)
                self.apply(self.session.report(Report(id=id, text=text, tokens=turn * ROUND), 0.0))
            self.land_probes()
        for id in [id for id in self.running if self.outcome is None]:
            self.running.pop(id)
            text = self.chain(id.index, self.rounds + 1)
            self.apply(self.session.land(Completion(id=id, text=text, tokens=self.rounds * ROUND), 0.0))
        self.land_probes()
        assert self.outcome is not None
        return self.outcome

    def land_probes(self) -> None:
        while self.probes:
            request = self.probes.pop(0)
            told = self.probe(prefix_of(request))
            self.apply(self.session.land(Completion(id=request.id, text=told, tokens=5), 0.0))


def prefix_of(request: Request) -> str:
    assert isinstance(request.prompt, tuple)
    last = request.prompt[-1]
    assert isinstance(last, Message)
    assert last.role == "assistant"
    return last.content.removesuffix(Probing().suffix)


def chain_of(text: str) -> Callable[[int, int], str]:
    return lambda index, turn: text * turn


def cot(policy: object = CERTAIN, cap: int = 8, program: type[Probed] = Cot, in_flight: bool = False) -> Session:
    allocator = (InFlight if in_flight else InRounds)(policy)  # type: ignore[arg-type]
    return Session(program(PROBLEM, setup(cap)), allocator)


@pytest.mark.parametrize("in_flight", [False, True])
def test_a_chain_is_cut_once_its_probes_agree(in_flight: bool) -> None:
    answers = iter(["1} \\]", "7} \\]", "7} \\]", "never"])
    play = Play(cot(in_flight=in_flight), chain_of("Hmm. "), lambda _: next(answers), rounds=8)
    outcome = play.run()
    assert (outcome.answer, outcome.stopped_by, outcome.knob) == ("7", "certain", 3)
    assert (outcome.tokens, outcome.cut_tokens) == (99 + 15, 99), "the cut chain and all probes are paid for"
    assert outcome.certaindex == 1.0
    assert play.cut == [0]


def test_probes_share_the_chain_s_prefix_and_are_short() -> None:
    play = Play(cot(), chain_of("a b"), lambda _: "1}", rounds=0)
    (chain,) = play.running.values()
    assert chain.report_every == ROUND
    assert chain.sampling.max_tokens == 8 * ROUND, "the cap bounds the chain"
    play.apply(play.session.report(Report(id=chain.id, text="a b", tokens=10), 0.0))
    (probe,) = play.probes
    assert probe.prompt[:-1] == chain.prompt
    assert probe.prompt[-1] == Message("assistant", "a b" + Probing().suffix)
    assert probe.sampling == Sampling(temperature=0.6, top_p=0.95, max_tokens=20)
    assert probe.report_every is None


def test_guided_probes_but_never_stops_and_the_chain_s_own_answer_counts() -> None:
    play = Play(cot(Even(), cap=4), lambda _, turn: "x" * turn + r"\boxed{5}" * (turn > 3), lambda _: "7}", rounds=3)
    outcome = play.run()
    assert (outcome.answer, outcome.knob, outcome.cut_count) == ("5", 3, 0)


def test_a_chain_that_writes_its_answer_is_left_alone() -> None:
    def chain(index: int, turn: int) -> str:
        return "thinking" if turn == 1 else r"thinking</think>The answer is \boxed{5}"

    asked: list[str] = []

    def probe(prefix: str) -> str:
        asked.append(prefix)
        return "1}"

    play = Play(cot(), chain, probe, rounds=6)
    outcome = play.run()
    assert outcome.answer == "5"
    assert asked == ["thinking"]


@pytest.mark.parametrize(
    ("finish", "told", "answer"),
    [(Finish.LENGTH, "4}", "4"), (Finish.LENGTH, "torn", "7"), (Finish.STOP, "4}", "4"), (Finish.FAILED, "4}", "7")],
)
def test_a_chain_that_ends_without_an_answer_is_asked_once_more(finish: Finish, told: str, answer: str) -> None:
    play = Play(cot(), chain_of("no number "), lambda _: "7}", rounds=1)
    for id in list(play.running):
        play.apply(play.session.report(Report(id=id, text="on", tokens=10), 0.0))
    play.land_probes()
    play.probe = lambda _: told
    (id,) = play.running
    del play.running[id]
    play.apply(play.session.land(Completion(id=id, text="on and on", finish=finish, tokens=40, error="gone"), 0.0))
    play.land_probes()
    assert play.outcome is not None
    assert play.outcome.answer == answer


def test_hesitation_and_torn_answers_are_not_certain() -> None:
    answers = iter(["7}. Wait, no", "7", "7} \\]", "7} \\]"])
    outcome = Play(cot(), chain_of("a"), lambda _: next(answers), rounds=8).run()
    assert (outcome.answer, outcome.knob) == ("7", 4)


@pytest.mark.parametrize(("text", "hesitating"), [
    ("7} I know another", False), ("threshold} Now", False), ("7} wait", True), ("7} \\] But", True), ("OKAY", True),
])  # fmt: skip
def test_hesitation_is_a_word(text: str, hesitating: bool) -> None:
    assert hesitates(text) == hesitating


@pytest.mark.parametrize(("text", "answer"), [
    ("12} \\]", "12"), ("\\frac{1}{2}} \\]", "\\frac{1}{2}"), ("500", ""), ("50", ""), ("} ", ""), ("\\}5}", "\\}5"),
])  # fmt: skip
def test_a_probe_s_answer_ends_at_its_brace(text: str, answer: str) -> None:
    assert within_brace(text) == answer


def test_a_suffix_of_another_kind_is_read_by_the_extractor() -> None:
    probing = Probing(suffix="\n</think>\nThe answer is")
    assert probing.answer(" 12", lambda text: text.rpartition("is ")[2]) == "12"
    assert probing.behind("thinking") == "\n</think>\nThe answer is"
    assert probing.behind("thought</think>\nSo") == "The answer is"
    assert Probing().answer("5", lambda text: text) is None


@pytest.mark.parametrize(("effort", "window", "interval"), [("mild", 8, 64), ("mid", 3, 64), ("crazy", 2, 32)])
def test_efforts_are_those_that_clients_know(effort: str, window: int, interval: int) -> None:
    probing = Probing(effort=effort)
    assert (probing.window, probing.interval) == (window, interval)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"effort": "none"}, "effort is 'none'; it must be one of mild, low, mid, high, crazy"),
        ({"interval": 0}, "interval is 0; it must be at least 1"),
        ({"chains": 0}, "chains is 0"),
        ({"suffix": ""}, "suffix is empty"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Probing(**settings)  # type: ignore[arg-type]


def test_chains_stop_together_once_they_have_settled_on_one_answer() -> None:
    told = {0: "7}", 1: "7}", 2: "7}"}
    play = Play(
        cot(program=Joined), lambda index, turn: f"{index} " * turn, lambda prefix: told[int(prefix[0])], rounds=8
    )
    outcome = play.run()
    assert (outcome.answer, outcome.knob, outcome.certaindex) == ("7", 2, 1.0)
    assert play.cut == [0, 1, 2]
    assert outcome.tokens == 3 * 99 + 6 * 5


def test_a_chain_that_changes_its_mind_keeps_all_from_stopping_and_votes_as_it_leans() -> None:
    flips = iter(f"{number}}}" for number in range(100))

    def probe(prefix: str) -> str:
        return next(flips) if prefix[0] == "2" else "7}"

    play = Play(cot(program=Joined, cap=4), lambda index, turn: f"{index} " * turn, probe, rounds=4)
    outcome = play.run()
    assert outcome.answer == "7"
    assert outcome.knob == 4
    assert 0 < outcome.certaindex < 1


def test_chains_that_end_early_wait_for_the_others() -> None:
    play = Play(cot(program=Joined, policy=Even(), cap=4), lambda i, turn: f"{i} " * turn, lambda _: "7}", rounds=0)
    ids = list(play.running)
    del play.running[ids[0]]
    play.apply(play.session.land(Completion(id=ids[0], text=r"\boxed{3}", tokens=5), 0.0))
    for turn in (1, 2):
        for id in ids[1:]:
            play.apply(play.session.report(Report(id=id, text=f"{id.index}" * turn, tokens=turn * ROUND), 0.0))
        assert len(play.probes) == 2
        play.land_probes()
    assert [chain.settled(ByText()) for chain in play.session.program.chains] == ["3", "7", "7"]  # type: ignore[attr-defined]


def test_nothing_granted_is_one_probe_of_the_question_alone() -> None:
    session = Session(Cot(PROBLEM, setup(8)), InRounds(lambda progress: __import__("dynasor").stop("closed")))
    play = Play(session, chain_of("a"), lambda _: "7}", rounds=1)
    outcome = play.run()
    assert (outcome.answer, outcome.knob, outcome.stopped_by) == ("7", 0, "closed")


def test_a_chain_before_its_first_probe_is_not_certain() -> None:
    chain = Chain(RequestId(ProgramId("p"), 0), window=1)
    assert chain.certaindex(ByText()) == 0.0
    assert chain.leaning(ByText()) is None
    chain.told("a")
    assert chain.certaindex(ByText()) == 1.0
    assert chain.settled(ByText()) == "a"
    session = cot()
    session.program.update_certaindex()
    assert session.program.certaindex == 0.0


def test_a_probe_that_fails_does_not_fail_the_answer() -> None:
    play = Play(cot(), chain_of("a"), lambda _: "7}", rounds=0)
    (chain,) = play.running.values()
    play.apply(play.session.report(Report(id=chain.id, text="a", tokens=10), 0.0))
    (probe,) = play.probes
    assert probe.optional
    play.probes.clear()
    play.apply(play.session.land(Completion(id=probe.id, finish=Finish.FAILED, tokens=3, error="gone"), 0.0))
    assert play.session.program.knob == 1
    for turn in (2, 3):
        play.apply(play.session.report(Report(id=chain.id, text="a" * turn, tokens=10 * turn), 0.0))
        play.land_probes()
    assert play.outcome is not None
    assert (play.outcome.answer, play.outcome.failed_count, play.outcome.tokens) == ("7", 1, 99 + 3 + 10)
