"""Streams beside gangs, reports, cuts: stepped with plain lists."""

from collections.abc import Sequence

import pytest

from dynasor.errors import ProgramError
from dynasor.programs.program import Program
from dynasor.programs.replay import joined, replay
from dynasor.programs.session import Cancel, Effect, Finished, Session, Submit
from dynasor.programs.steps import Cut, Execution, Grown, Growth
from dynasor.request import Completion, Finish, Message, ProgramId, Report, RequestId
from support.programs import cut, indices, landing, outcome_of, session_of


def report(index: int, text: str, tokens: int = 1) -> Report:
    return Report(id=RequestId(ProgramId("p"), index), text=text, tokens=tokens)


def submitted(effects: Sequence[Effect]) -> list[int]:
    return [index for effect in effects if isinstance(effect, Submit) for index in indices(effect)]


class Watcher(Program):
    """Starts two streams, waits for both to grow, asks one question beside them, cuts the first, and ends."""

    seen: tuple[Grown, ...] = ()

    def execute(self) -> Execution:
        first, second = self.request(report_every=1), self.request(report_every=1)
        yield self.stream([first, second])
        self.seen = yield self.growth([first, second])
        assert (yield self.claim()) > 0
        yield self.gang(1)
        yield self.cut([first])
        yield self.cut([first])
        self.seen = yield self.growth([second])
        return self.seen[0].text


def test_streams_run_beside_gangs() -> None:
    session = session_of(program=Watcher)
    program = session.program
    assert isinstance(program, Watcher)
    assert submitted(session.start(0.0)) == [0, 1]
    assert session.report(report(0, "a"), 0.0) == []
    assert session.report(report(0, "ab", 2), 0.0) == []
    effects = session.report(report(1, "x"), 0.0)
    assert submitted(effects) == [2], "both have grown: the program goes on"
    assert [(grown.text, grown.tokens) for grown in program.seen] == [("ab", 2), ("x", 1)]
    assert session.in_flight_count == 3
    assert session.report(report(1, "xy", 2), 0.0) == []
    effects = session.land(landing(2, "b"), 0.0)
    assert [indices(effect) for effect in effects] == [[0], [1]], (
        "cut once; the other had grown, so that this is the end"
    )


def test_what_grew_meanwhile_is_not_waited_for_and_the_rest_is_cut_at_the_end() -> None:
    session = session_of(program=Watcher)
    session.start(0.0)
    session.report(report(0, "a"), 0.0)
    session.report(report(1, "x"), 0.0)
    (first,) = session.land(landing(2, "b"), 0.0)
    assert isinstance(first, Cancel)
    assert session.report(report(0, "late"), 0.0) == [], "a cut stream may still report"
    (second,) = session.report(report(1, "xy"), 0.0)
    assert isinstance(second, Cancel)
    assert indices(second) == [1], "what still runs when the program has ended is cut"
    assert session.land(cut(0, 5), 0.0) == []
    outcome = outcome_of(session.land(cut(1, None), 0.0))
    assert (outcome.answer, outcome.cut_count, outcome.cut_tokens, outcome.tokens) == ("xy", 2, 15, 25)
    assert session.in_flight_count == 0


def test_a_stream_that_ends_is_growth_for_good() -> None:
    session = session_of(program=Watcher)
    session.start(0.0)
    ended = Completion(id=RequestId(ProgramId("p"), 1), text="whole", tokens=None)
    assert session.land(ended, 0.0) == []
    assert submitted(session.report(report(0, "a"), 0.0)) == [2]
    (cancel,) = session.land(landing(2, "b"), 0.0)
    assert isinstance(cancel, Cancel)
    outcome = outcome_of(session.land(cut(0), 0.0))
    assert (outcome.answer, outcome.unknown_count) == ("whole", 1)


@pytest.mark.parametrize("kind", [Cut, Growth])
def test_only_streams_that_were_started_are_cut_or_waited_for(kind: type[Cut] | type[Growth]) -> None:
    class Confused(Program):
        def execute(self) -> Execution:
            yield kind((self.request().id,))
            return None

    with pytest.raises(ProgramError, match=r"Confused.execute names request 0, which is no stream that it started"):
        session_of(program=Confused).start(0.0)


def test_no_streams_are_no_effect() -> None:
    class Idle(Program):
        def execute(self) -> Execution:
            yield self.stream([])
            return "done"

    assert outcome_of(session_of(program=Idle).start(0.0)).answer == "done"


class Choosy(Program):
    """Cuts a branch of its gang that says "bad"."""

    def execute(self) -> Execution:
        while knob := (yield self.claim()):
            yield self.gang([self.request(report_every=1) for _ in range(knob)])
        return self.evidence.ballot.majority

    def observe(self, report: Report) -> bool:
        return "bad" in report.text


def test_a_program_may_cut_a_branch_that_it_observes() -> None:
    session = session_of(program=Choosy, cap=3)
    assert submitted(session.start(0.0)) == [0, 1, 2]
    assert session.report(report(0, "good"), 0.0) == []
    (cancel,) = session.report(report(1, "bad"), 0.0)
    assert isinstance(cancel, Cancel)
    assert indices(cancel) == [1]
    assert session.report(report(1, "bad, bad"), 0.0) == [], "it is cut already"
    assert session.report(report(9, "bad"), 0.0) == [], "nobody asked for it"
    assert session.land(cut(1), 0.0) == []
    session.land(landing(0, "a"), 0.0)
    outcome = outcome_of(session.land(landing(2, "a"), 0.0))
    assert (outcome.answer, outcome.cut_count, outcome.cut_tokens) == ("a", 1, 4)
    assert outcome.knob == 3, "it turned the knob: else a program that cuts every branch would never come to its cap"


def test_programs_observe_nothing_unless_they_say_so() -> None:
    session = session_of(cap=1)
    session.start(0.0)
    assert session.report(report(0, "bad"), 0.0) == []


def test_a_stream_resumes_where_it_last_reported() -> None:
    happened: list[Completion | Report] = [report(0, "a", 3), report(1, "x", 2), landing(2, "b"), report(1, "xy", 7)]
    replayed = replay(session_of(program=Watcher, cap=5), happened[:3], 0.0)
    (going_on,) = replayed.requests
    assert going_on.id.index == 1
    assert going_on.prompt[-1] == Message("assistant", "x")
    assert going_on.sampling.max_tokens == 1024 - 2
    (begun,) = replayed.begun.values()
    joint = joined(begun, report(1, "y", 5))
    assert (joint.text, joint.tokens) == ("xy", 7), "as if it had never been interrupted"
    whole = joined(begun, Completion(id=begun.id, text="yz", tokens=None))
    assert (whole.text, whole.tokens) == ("xyz", None)
    ended = replay(session_of(program=Watcher, cap=5), happened, 0.0)
    assert ended.outcome is not None
    assert (ended.outcome.answer, ended.outcome.cut_tokens) == ("xy", 10), "cut at what they last reported"


def test_a_gang_that_had_begun_goes_on_too() -> None:
    replayed = replay(session_of(program=Choosy, cap=2), [report(0, "so far", 9)], 0.0)
    assert [isinstance(request.prompt[-1], Message) and request.prompt[-1].role for request in replayed.requests] == [
        "assistant",
        "user",
    ]


def test_a_session_ends_only_once() -> None:
    session: Session = session_of(program=Choosy, cap=1)
    session.start(0.0)
    (finished,) = session.land(landing(0, "a"), 0.0)
    assert isinstance(finished, Finished)
    with pytest.raises(ProgramError, match="not in flight"):
        session.land(Completion(id=RequestId(ProgramId("p"), 0), finish=Finish.STOP), 0.0)
