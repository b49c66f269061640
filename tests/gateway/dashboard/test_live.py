"""The fold over events: what it shows of programs as they go on, and that it stays within its bounds."""

import pytest

from dynasor.allocation.progress import Progress
from dynasor.certaindex.entropy import certaindex_of
from dynasor.gateway.dashboard.drill_down import told_in_full
from dynasor.gateway.dashboard.live import Live
from dynasor.gateway.dashboard.live_program import LiveProgram, State
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.weighted import WeightedSelfConsistency
from dynasor.request import Finish, ProgramId, Report, RequestId
from dynasor.runtime.events import BranchGrew
from support.watched import Watched, agreed


def only(live: Live) -> LiveProgram:
    (known,) = live.since(0, None)
    return known


def test_a_program_is_seen_from_its_wait_to_its_end() -> None:
    live = Live()
    watched = Watched(live, now=5.0)
    assert (only(live).state, live.totals(None).waiting) == (State.WAITING, 1)
    watched.start(6.0)
    assert (only(live).state, only(live).began_at, only(live).in_flight) == (State.RUNNING, 6.0, 4)
    for index, answer in enumerate("2235"):
        watched.land(index, answer, 7.0 + index)
    known = only(live)
    assert (known.state, known.ended_at, known.knob, known.tokens) == (State.FINISHED, 10.0, 4, 40)
    assert (known.stopped_by, known.strip, known.voted) == ("cap", "ssss", (2, 4))
    assert (known.groups, known.in_flight, known.session) == ([2, 1, 1], 0, None)
    totals = live.totals("team")
    assert (totals.waiting, totals.running, totals.finished, totals.tokens) == (0, 0, 1, 40)
    assert totals.even_tokens == totals.known_tokens == 40
    assert live.totals("other").finished == 0


def test_certaindex_is_read_at_every_branch() -> None:
    live = Live()
    watched = Watched(live)
    watched.start()
    for index, answer in enumerate("2232"):
        watched.land(index, answer)
    expected = [(1, 0.0), (2, 1.0), (3, round(certaindex_of([2, 1]), 4)), (4, round(certaindex_of([3, 1]), 4))]
    assert only(live).points == expected


def test_a_reading_that_is_not_of_the_votes_alone_is_the_policys_own() -> None:
    live = Live()
    watched = Watched(live, algorithm=WeightedSelfConsistency)
    watched.start()
    watched.program.certaindex = 0.25
    watched.land(0, "2", reward=0.5)
    assert only(live).points == [(1, 0.25)]


class Unruly(SelfConsistency):
    """A program of another package that minds no rule."""

    def progress(self) -> Progress:
        raise RuntimeError("not now")

    def update_certaindex(self) -> None:
        self.certaindex = float("nan")


def test_a_program_that_breaks_the_rules_breaks_nothing_else() -> None:
    live = Live()
    watched = Watched(live, algorithm=Unruly)
    watched.start()
    watched.program.certaindex = "high"  # type: ignore[assignment]
    live.take(BranchGrew(watched.program, Report(id=RequestId(ProgramId("p"), 0), text="so", tokens=7)), 1.0)
    assert only(live).told()["certaindex"] == 0.0
    watched.program.update_certaindex()
    live.take(BranchGrew(watched.program, Report(id=RequestId(ProgramId("p"), 0), text="so", tokens=9)), 1.0)
    assert only(live).points == [(0, 0.0)]


def test_branches_that_are_cut_show_with_what_they_cost() -> None:
    live = Live()
    watched = Watched(live, cap=8, policy=agreed, in_flight=True)
    watched.start()
    for index in range(3):
        watched.land(index, "2")
    for index in range(3, 8):
        watched.cut(index)
    known = only(live)
    assert known.state is State.FINISHED
    assert known.strip == "sssccccc"
    assert known.cut_tokens == 20 == live.totals(None).cut_tokens
    assert known.stopped_by == "three agree"


def test_tokens_of_what_still_grows_count() -> None:
    live = Live()
    watched = Watched(live)
    watched.start()
    report = Report(id=RequestId(ProgramId("p"), 0), text="so", tokens=7)
    live.take(BranchGrew(watched.program, report), 1.0)
    assert only(live).told()["tokens"] == 7
    watched.land(0, "2")
    assert only(live).told()["tokens"] == 10


@pytest.mark.parametrize(("fault", "state"), [(None, State.WITHDRAWN), ("the backend is gone", State.FAILED)])
def test_a_program_that_does_not_answer_says_why(fault: str | None, state: State) -> None:
    live = Live()
    watched = Watched(live, deadline=9.0)
    watched.start()
    watched.land(0, "2", finish=Finish.FAILED)
    watched.stall() if fault is None else watched.stall(fault)
    totals = live.totals(None)
    assert (only(live).state, totals.running) == (state, 0)
    assert (totals.met, totals.missed) == (0, 0 if fault is None else 1), "who left has missed nothing"
    watched.leave()
    assert totals == live.totals(None), "it has ended once"


def test_one_that_leaves_before_its_start_is_not_left_over() -> None:
    live = Live()
    Watched(live, "a").leave()
    Watched(live, "b").leave(gone=False)
    states = {known.id: known.state for known in live.since(0, None)}
    assert states == {"a": State.WITHDRAWN, "b": State.FAILED}
    totals = live.totals(None)
    assert (totals.waiting, totals.withdrawn, totals.failed) == (0, 1, 1)


def test_deadlines_are_met_or_missed() -> None:
    live = Live()
    Watched(live, "a", deadline=1.0).run(*"2222", now=1.0)
    Watched(live, "b", deadline=1.0).run(*"2222", now=1.5)
    totals = live.totals("team")
    assert (totals.met, totals.missed) == (1, 1)


def test_only_what_has_changed_is_told_again() -> None:
    live = Live()
    first, second = Watched(live, "a"), Watched(live, "b", "other")
    seen = live.version
    assert list(live.since(seen, None)) == []
    first.start()
    assert [known.id for known in live.since(seen, None)] == ["a"]
    assert list(live.since(seen, "other")) == []
    second.start()
    assert [known.id for known in live.since(seen, None)] == ["b", "a"], "the latest first"


def test_what_nobody_has_told_of_is_passed_over() -> None:
    live = Live()
    stranger = Watched(Live(), "stranger")
    stranger.live = live
    stranger.run(*"2222")
    assert len(live) == 0
    assert live.version == 0


def test_what_ended_is_kept_within_bounds_for_each_tenant() -> None:
    live = Live(most_ended=3)
    for number in range(10):
        Watched(live, f"a{number}", "busy").run(*"2222")
    Watched(live, "b", "calm").run(*"2222")
    kept = [known.id for known in live.since(0, None)]
    assert kept == ["b", "a9", "a8", "a7"]
    assert live.totals("busy").finished == 10


def test_all_together_are_bounded_and_what_lives_stays() -> None:
    live = Live(most=4)
    alive = [Watched(live, f"alive{number}") for number in range(2)]
    for number in range(5):
        Watched(live, f"e{number}").run(*"2222")
    assert len(live) == 4
    assert all(live.find(watched.id) is not None for watched in alive)
    more = [Watched(live, f"more{number}") for number in range(4)]
    assert len(live) == 4, "where all live, what comes is not shown"
    for watched in more:
        watched.run(*"2222")
    assert len(live) <= 4


def test_texts_of_what_ended_are_kept_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynasor.gateway.dashboard.live.MOST_CHARACTERS", 5000)
    live = Live()
    for number in range(4):
        Watched(live, f"p{number}", body=b" " * 2000).run(*"2222")
    texts = {known.id: known.program is not None for known in live.since(0, None)}
    assert texts == {"p3": True, "p2": True, "p1": False, "p0": False}
    old = live.find("p0")
    assert old is not None
    told = told_in_full(old, texts=True)
    assert told["prompt"] is None
    assert told["votes"] == [{"answer": None, "votes": 4}]
    assert len(told["branches"]) == 4
    assert "text" not in told["branches"][0]


def test_one_program_of_many_branches_keeps_few_of_each() -> None:
    live = Live()
    watched = Watched(live, cap=300)
    watched.start()
    for index in range(300):
        watched.land(index, str(index % 7))
    known = only(live)
    assert len(known.points) <= 64
    assert known.points[-1][0] == 300
    assert known.points == sorted(known.points)
    assert (len(known.strip), len(known.branches), sum(known.counts.values())) == (128, 256, 300)
    told = told_in_full(known, texts=True)
    assert (len(told["branches"]), told["more_branches"]) == (128, 172)


def test_without_texts_none_are_kept() -> None:
    live = Live(texts=False)
    watched = Watched(live)
    watched.start()
    watched.land(0, "2")
    watched.land(1, "3")
    known = only(live)
    assert known.program is None
    assert all(branch.completion is None for branch in known.branches)
    assert told_in_full(known, texts=True)["votes"] == [{"answer": None, "votes": 1}] * 2


def test_drill_down_tells_votes_branches_and_prompt_to_who_may_see_them() -> None:
    live = Live()
    watched = Watched(live, cap=5).run(*"22352")
    known = only(live)
    told = told_in_full(known, texts=True)
    assert told["prompt"] == [{"role": "user", "content": watched.program.prompt[0].content}]  # type: ignore[union-attr]
    assert "What is 1 + 1?" in told["prompt"][0]["content"]
    assert [(vote["answer"], vote["votes"]) for vote in told["votes"]] == [("2", 3), ("3", 1), ("5", 1)]
    assert told["branches"][2] | {"at": 0.0} == {
        "index": 2, "finish": "s", "tokens": 10, "at": 0.0, "kind": "branch", "answer": "3",
        "text": "The answer is 3.", "reward": None,
    }  # fmt: skip
    silent = told_in_full(known, texts=False)
    assert silent["prompt"] is None
    assert silent["votes"] == [{"answer": None, "votes": count} for count in (3, 1, 1)]
    assert "The answer" not in str(silent)
    assert "answer" not in silent["branches"][0]


def test_long_texts_are_cut_for_the_page() -> None:
    live = Live()
    watched = Watched(live)
    watched.start()
    watched.land(0, None, text="x" * 5000)
    told = told_in_full(only(live), texts=True)
    assert told["branches"][0]["text"] == "x" * 4000 + " … (1000 characters more)"
