import pytest

from dynasor.inside.tags import Tags
from dynasor.request import ProgramId
from dynasor.scheduling.specification import ORDERINGS, SHORTHANDS
from dynasor.vllm_plugin.ranking import Ranking
from dynasor.vllm_plugin.settings import Settings

A = ProgramId("a")


def ranking(ordering: str = "sjf", grace_s: float = 2.0, memory_s: float = 60.0) -> Ranking:
    return Ranking(Settings(ordering=ordering, branch_tokens=100, grace_s=grace_s, memory_s=memory_s))


def run(ranked: Ranking, id: str, tokens: int, now: float = 0.0) -> None:
    ranked.start(id, now, is_oldest=True)
    ranked.end(id, tokens, now)


def test_requests_without_a_program_are_each_their_own_and_leave_nothing() -> None:
    ranked = ranking("gang")
    for id in ("cmpl-x-0-1f", "cmpl-y-0-2e"):
        ranked.arrive(id, Tags(), 0.0)
    assert len({ranked.program("cmpl-x-0-1f"), ranked.program("cmpl-y-0-2e")}) == 2
    for id in ("cmpl-x-0-1f", "cmpl-y-0-2e"):
        run(ranked, id, 5)
    ranked.step(1.0)
    assert ranked.counters.programs == 0


def test_the_n_completions_of_a_request_are_one_program() -> None:
    ranked = ranking("gang")
    for id in ("0_cmpl-x-0-1f", "cmpl-y-0-2e", "1_cmpl-x-0-1f"):
        ranked.arrive(id, Tags(), 0.0)
    assert ranked.order(0.0, 3) == ["0_cmpl-x-0-1f", "1_cmpl-x-0-1f", "cmpl-y-0-2e"]


def test_the_client_estimates_and_what_is_generated_counts() -> None:
    ranked = ranking()
    for id, tokens in {"a0": 300.0, "a1": 300.0, "b0": 250.0}.items():
        ranked.arrive(id, Tags(program=id[0], remaining_tokens=tokens), 0.0)
    assert ranked.order(0.0, 3) == ["b0", "a0", "a1"]
    ranked.start("a0", 0.0, is_oldest=True)
    ranked.grow("a0", 15, 1.0)
    assert ranked.order(1.0, 2) == ["b0", "a1"]
    ranked.grow("a0", 60, 1.0)
    assert ranked.order(1.0, 2) == ["a1", "b0"]


def test_what_was_generated_before_a_preemption_counts_once() -> None:
    ranked = ranking()
    for id, tokens in {"a0": 300.0, "a1": 300.0, "b0": 210.0}.items():
        ranked.arrive(id, Tags(program=id[0], remaining_tokens=tokens), 0.0)
    ranked.start("a0", 0.0, is_oldest=True)
    ranked.grow("a0", 60, 1.0)
    ranked.put_back("a0", 1.0)
    ranked.start("a0", 2.0, is_oldest=True)
    ranked.grow("a0", 76, 2.0)
    assert ranked.order(2.0, 1) == ["b0"], "224 are left and not 164"
    ranked.end("a0", 100, 3.0)
    assert ranked.order(3.0, 1) == ["a1"], "200 are left"


def test_an_estimate_of_the_arrival_is_not_revised() -> None:
    ranked = ranking("sjf-at-arrival")
    for id, tokens in {"a0": 300.0, "a1": 300.0, "b0": 250.0}.items():
        ranked.arrive(id, Tags(program=id[0], remaining_tokens=tokens), 0.0)
    run(ranked, "a0", 90)
    assert ranked.order(1.0, 2) == ["b0", "a1"]


def test_lengths_are_learned_for_each_algorithm_and_data_set() -> None:
    ranked = ranking()
    for program, data_set, tokens in (("a", "hard", 900), ("b", "easy", 20)):
        ranked.arrive(program, Tags(program=program, algorithm="sc", data_set=data_set, is_last=True), 0.0)
        run(ranked, program, tokens)
    for program, data_set in (("c", "hard"), ("d", "unknown"), ("e", "easy")):
        ranked.arrive(program, Tags(program=program, algorithm="sc", data_set=data_set), 1.0)
    assert ranked.order(1.0, 3) == ["e", "d", "c"]


def test_a_remaining_knob_shrinks_as_branches_land() -> None:
    ranked = ranking()
    ranked.arrive("a0", Tags(program="a", remaining_knob=3), 0.0)
    run(ranked, "a0", 100)
    ranked.arrive("b0", Tags(program="b", remaining_tokens=250), 0.0)
    ranked.arrive("a1", Tags(program="a"), 0.0)
    assert ranked.order(0.0, 2) == ["a1", "b0"], "two branches of 100 each"


def test_a_knob_that_is_told_is_believed() -> None:
    ranked = ranking()
    ranked.arrive("a0", Tags(program="a", remaining_knob=3, knob=0), 0.0)
    run(ranked, "a0", 100)
    ranked.arrive("b0", Tags(program="b", remaining_tokens=250), 0.0)
    ranked.arrive("a1", Tags(program="a"), 0.0)
    assert ranked.order(0.0, 2) == ["b0", "a1"], "three yet, for all that anybody told"


def test_an_abort_with_tokens_counts_as_landed_for_it_may_be_a_stop_string() -> None:
    ranked = ranking()
    for id, tokens in (("a0", 10), ("b0", 0), ("e0", 190)):
        ranked.arrive(id, Tags(program=id[0], data_set=id[0], is_last=True), 0.0)
        run(ranked, id, tokens)
    for id in ("c0", "d0"):
        ranked.arrive(id, Tags(program=id, data_set={"c0": "b", "d0": "a"}[id]), 0.0)
    assert ranked.order(0.0, 2) == ["d0", "c0"], "10 tokens against a mean of all that is 100"


def test_a_deadline_counts_from_the_arrival() -> None:
    ranked = ranking("edf")
    ranked.arrive("a", Tags(program="a", deadline_s=30), 0.0)
    ranked.arrive("b", Tags(program="b", deadline_s=15), 20.0)
    ranked.arrive("c", Tags(program="c"), 20.0)
    assert ranked.order(20.0, 3) == ["a", "b", "c"]
    ranked.arrive("b1", Tags(program="b", deadline_s=1), 20.0)
    assert ranked.order(20.0, 1) == ["b"]


def test_a_program_keeps_its_place_between_rounds() -> None:
    ranked = ranking("gang")
    ranked.arrive("a0", Tags(program="a"), 0.0)
    ranked.arrive("b0", Tags(program="b"), 0.0)
    run(ranked, "a0", 5)
    ranked.arrive("a1", Tags(program="a"), 30.0)
    assert ranked.order(30.0, 2) == ["a1", "b0"]


def test_a_program_is_forgotten_after_a_while() -> None:
    ranked = ranking("gang", memory_s=10)
    ranked.arrive("a0", Tags(program="a"), 0.0)
    run(ranked, "a0", 5, now=3.0)
    ranked.step(12.9)
    assert ranked.counters.programs == 1
    ranked.step(13.0)
    assert ranked.counters.programs == 0


def test_a_program_that_says_so_is_forgotten_at_once() -> None:
    ranked = ranking("gang")
    ranked.arrive("a0", Tags(program="a", is_last=True), 0.0)
    ranked.arrive("a1", Tags(program="a", is_last=True), 0.0)
    run(ranked, "a0", 5)
    assert ranked.is_live(A)
    run(ranked, "a1", 5)
    ranked.step(0.0)
    assert (ranked.is_live(A), ranked.counters.programs) == (False, 0)


def test_a_program_that_goes_on_after_its_end_has_not_ended() -> None:
    ranked = ranking("gang")
    ranked.arrive("a0", Tags(program="a", is_last=True), 0.0)
    ranked.arrive("a1", Tags(program="a"), 0.0)
    run(ranked, "a0", 5)
    run(ranked, "a1", 5)
    assert ranked.is_live(A)


def test_a_program_is_live_with_requests_and_for_a_grace_after() -> None:
    ranked = ranking(grace_s=2)
    assert not ranked.is_live(A)
    ranked.arrive("a0", Tags(program="a"), 0.0)
    ranked.step(50.0)
    assert ranked.is_live(A)
    run(ranked, "a0", 5, now=50.0)
    ranked.step(51.9)
    assert ranked.is_live(A)
    ranked.step(52.0)
    assert not ranked.is_live(A)
    ranked.arrive("a1", Tags(program="a"), 53.0)
    assert ranked.is_live(A)


@pytest.mark.parametrize(("ordering", "aged"), [("aging:patience=1,tokens_per_s=100+sjf", 1), ("sjf", 0)])
def test_who_goes_first_for_having_waited_is_counted(ordering: str, aged: int) -> None:
    ranked = ranking(ordering)
    ranked.arrive("a0", Tags(program="a", remaining_tokens=500), 0.0)
    ranked.arrive("b0", Tags(program="b", remaining_tokens=1), 5.0)
    first = ranked.order(5.0, 1)[0]
    assert first == ("a0" if aged else "b0")
    ranked.start(first, 5.0, is_oldest=True)
    assert ranked.counters.aged == aged


def test_the_greatest_key_is_the_program_to_preempt() -> None:
    ranked = ranking("gang")
    for id in ("a0", "b0", "a1", "b1"):
        ranked.arrive(id, Tags(program=id[0]), 0.0)
    for id in ranked.order(0.0, 4):
        ranked.start(id, 0.0, is_oldest=True)
    assert sorted(("b1", "a1", "b0", "a0"), key=lambda id: ranked.key(id, 0.0)) == ["a0", "a1", "b0", "b1"]
    assert ranked.counters.programs_running == 2


def test_running_programs_are_counted() -> None:
    ranked = ranking("gang")
    for id in ("a0", "a1", "b0"):
        ranked.arrive(id, Tags(program=id[0]), 0.0)
        ranked.start(id, 0.0, is_oldest=True)
    ranked.end("a0", 5, 0.0)
    assert ranked.counters.programs_running == 2
    assert ranked.put_back("a1", 0.0)
    assert ranked.counters.programs_running == 1
    assert not ranked.put_back("a1", 0.0), "it waits already"
    ranked.end("b0", 0, 0.0)
    ranked.end("a1", 0, 0.0)
    ranked.end("a1", 0, 0.0)
    ranked.step(0.0)
    assert (ranked.counters.programs_running, ranked.counters.requests_running) == (0, 0)


def test_bad_tags_are_counted() -> None:
    ranked = ranking()
    ranked.arrive("a0", Tags(bad_count=3), 0.0)
    assert ranked.counters.bad_tags == 3


@pytest.mark.parametrize(
    "ordering",
    [*sorted(ORDERINGS.keys() - {"slack"}), *SHORTHANDS, "slack:tokens_per_s=9", "aging:patience=8+gang+prefix"],
)
def test_every_ordering_that_there_is_serves_all(ordering: str) -> None:
    ranked = ranking(ordering)
    for index in range(3):
        for program in "ab":
            ranked.arrive(f"{program}{index}", Tags(program=program, deadline_s=9.0), float(index))
    order = ranked.order(3.0, 6)
    assert sorted(order) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    for id in order:
        run(ranked, id, 20, 4.0)
    assert ranked.order(5.0, 6) == []


def test_to_prefix_the_prompt_of_a_program_that_has_begun_is_cached() -> None:
    ranked = ranking("prefix")
    for id, program in (("b0", "b"), ("a0", "a"), ("b1", "b"), ("a1", "a")):
        ranked.arrive(id, Tags(program=program), 0.0)
    ranked.start("a0", 0.0, is_oldest=False)
    assert ranked.order(1.0, 3) == ["a1", "b0", "b1"]
