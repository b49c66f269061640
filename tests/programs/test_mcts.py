from dataclasses import replace
from math import log
from random import Random

import pytest

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.threshold import StaticThreshold
from dynasor.errors import UsageError
from dynasor.programs.mcts import Mcts
from dynasor.programs.mcts_selection import Puct, Uct, select, set_priors, value
from dynasor.programs.mcts_settings import MctsSettings
from dynasor.programs.replay import replay
from dynasor.programs.session import Effect, Session, Submit
from dynasor.programs.tree import Node
from dynasor.request import Completion, Finish, Request, Sampling
from support.programs import indices, outcome_of, session_of
from support.search_models import Model, Run, SearchModel, answer_all, said, tree_of


def mcts(**settings: object) -> type[Mcts]:
    return Mcts.with_settings(MctsSettings(**settings))  # type: ignore[arg-type]


def program_of(session: Session) -> Mcts:
    assert isinstance(session.program, Mcts)
    return session.program


# By request: what the step says, its reward, the probability of its tokens. A full stop ends the path.
SCRIPT = [
    ("a", 0.5, 0.6), ("b", 0.4, 0.3),  # below the root
    ("The answer is 1.", 0.2, 0.5), ("The answer is 2.", 0.1, 0.5),  # below a
    ("The answer is 2.", 0.9, 0.8), ("f", 0.6, 0.2),  # below b
    ("The answer is 2.", 0.7, 0.5), ("The answer is 3.", 0.3, 0.5),  # below f
]  # fmt: skip


def scripted(request: Request) -> Completion:
    text, reward, chance = SCRIPT[request.id.index]
    told = None if text.endswith(".") else "\n"
    return Completion(id=request.id, text=text, reward=reward, mean_logprob=log(chance), stopped_at=told, tokens=10)


def test_three_iterations_by_hand() -> None:
    """Two steps wherever nothing follows yet; prior P = probability / sum over the siblings; c_base 19652, c_init 1.25.

    1. At the root N = 0, so there is no bonus: a (reward 0.5) before b (0.4). At a: 0.2 before 0.1.
       Backed up: 0.2 at a and the root.
    2. At the root N = 1, rate ln(19654/19652) + 1.25 = 1.25010.
       a: 0.2 + 2/3 · 1.25010 · 1 / 2 = 0.6167;  b: 0.4 + 1/3 · 1.25010 · 1 / 1 = 0.8167: b. There 0.9 before 0.6.
       Backed up: 0.9.
    3. At the root N = 2, rate ln(19655/19652) + 1.25 = 1.25015, √2 = 1.41421.
       a: 0.2 + 2/3 · 1.76798 / 2 = 0.7893;  b: 0.9 + 1/3 · 1.76798 / 2 = 1.1947: b. There the first path is taken,
       so f (prior 0.2); below it 0.7 before 0.3. Backed up: 0.7.
    """
    session = session_of(cap=3, program=mcts(expand=2))
    run = answer_all(session, scripted)
    assert [[request.id.index for request in gang] for gang in run.gangs] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [said(gang[0].prompt) for gang in run.gangs] == ["", "a\n", "b\n", "b\nf\n"]
    assert run.gangs[0][0].sampling == Sampling(max_tokens=256, stop=("\n",), logprobs=True)

    program = program_of(session)
    nodes = program.tree.nodes
    assert {index: node.visits for index, node in nodes.items()} == {0: 1, 1: 2, 2: 1, 3: 0, 4: 1, 5: 1, 6: 1, 7: 0}
    sums = [program.tree.root.value_sum, *(nodes[index].value_sum for index in (0, 1, 5))]
    assert sums == pytest.approx([1.8, 0.2, 1.6, 0.7])
    assert [nodes[index].prior for index in (0, 1, 4, 5)] == pytest.approx([2 / 3, 1 / 3, 0.8, 0.2])
    assert [node.index for node in program.candidates] == [2, 4, 6]
    assert not any(node.pending for node in (program.tree.root, *program.tree.walk()))

    assert (run.end.answer, run.end.knob, run.end.tokens) == ("2", 3, 80)
    # entropy certaindex of 2 to 1 is 0.4206, the mean reward 0.6: drawn out from 0.99 and 0.4 to 0.7
    assert run.end.certaindex == pytest.approx(min(0.7 * 0.4206 / 0.99, 0.7 + 0.3 * 0.2 / 0.6), abs=1e-4)


def test_the_bonuses_of_the_second_and_third_iteration() -> None:
    a, b = Node(0, visits=1, prior=2 / 3), Node(1, prior=1 / 3)
    puct = Puct(19652.0, 1.25)
    assert (puct(a, 1), puct(b, 1)) == pytest.approx((0.41670, 0.41670), abs=1e-5)
    b.visits = 1
    assert (puct(a, 2), puct(b, 2)) == pytest.approx((0.58933, 0.29466), abs=1e-5)
    assert Uct(1.0)(a, 0) == Uct(1.0)(a, 1) == 0.0
    assert Uct(2.0)(Node(0, visits=3), 7) == pytest.approx(2 * (log(7) / 3) ** 0.5)
    assert Uct(1.0)(Node(0), 7) == pytest.approx(log(7) ** 0.5)


def test_uct_needs_no_log_probabilities() -> None:
    session = session_of(cap=3, program=mcts(expand=2, selection="uct"))
    run = answer_all(session, scripted)
    assert not run.gangs[0][0].sampling.logprobs
    assert [node.index for node in program_of(session).candidates] == [2, 4, 6]


def test_without_log_probabilities_the_prior_is_uniform() -> None:
    known, unknown, impossible = Node(0, mean_logprob=-0.1), Node(1), Node(2, mean_logprob=-1e9)
    set_priors([known, unknown])
    assert (known.prior, unknown.prior) == (0.5, 0.5)
    set_priors([impossible, impossible])
    assert impossible.prior == 0.5
    set_priors([known, impossible])
    assert (known.prior, impossible.prior) == (1.0, 0.0)


def test_among_equals_the_likeliest_then_the_first() -> None:
    root = Node(-1, pending=1)
    root.children = [Node(0, root, prior=0.2), Node(1, root, prior=0.4), Node(2, root, prior=0.4)]
    assert select(root, Uct(1.0)).index == 1


def test_the_asking_iteration_does_not_count_itself() -> None:
    root = Node(-1, pending=1)
    root.children = [Node(0, root, prior=0.1, reward=0.5), Node(1, root, prior=0.9, reward=0.45)]
    assert select(root, Puct(19652.0, 1.25)).index == 0, "nobody has passed, so there is no bonus"
    root.pending = 2
    assert select(root, Puct(19652.0, 1.25)).index == 1


def test_iterations_that_are_below_count_as_visits_that_brought_nothing() -> None:
    node = Node(0, reward=0.8, visits=1, value_sum=0.6)
    assert value(node) == 0.6
    node.pending = 1
    assert value(node) == 0.3
    assert value(Node(1, reward=0.8)) == 0.8
    assert value(Node(1, reward=0.8, pending=1)) == 0.0


@pytest.mark.parametrize(("answer", "chosen"), [("votes", "1"), ("best", "2"), ("weighted", "2")])
def test_answers_by_votes_or_by_the_best_path(answer: str, chosen: str) -> None:
    paths = [("1", 0.2), ("1", 0.1), ("2", 0.9)]

    def model(request: Request) -> Completion:
        said, reward = paths[request.id.index]
        return Completion(id=request.id, text=f"{'so ' * request.id.index}The answer is {said}.", reward=reward)

    assert answer_all(session_of(cap=3, program=mcts(answer=answer)), model).end.answer == chosen


def same(request: Request) -> Completion:
    """Says two steps, always the same, and then its answer."""
    depth = said(request.prompt).count("\n")
    text, told = ("The answer is 4.", None) if depth == 2 else ("so", "\n")
    return Completion(id=request.id, text=text, reward=0.5, stopped_at=told, tokens=3)


def test_equal_steps_are_merged_and_paid_for() -> None:
    session = session_of(cap=5, program=Mcts)
    run = answer_all(session, same)
    program = program_of(session)
    assert [node.index for node in program.tree.walk()] == [0, 3, 6], "the first of three"
    assert len(program.tree.nodes) == 9
    assert (run.end.tokens, run.end.answer) == (27, "4")


def test_it_ends_when_every_path_has_been_a_candidate() -> None:
    run = answer_all(session_of(cap=5, program=Mcts), same)
    assert (run.end.knob, run.end.stopped_by) == (1, "the program")
    assert run.end.certaindex == 0.0, "one path says nothing of agreement, however often it is walked"


def test_paths_that_have_landed_already_turn_the_knob_without_a_request() -> None:
    def model(request: Request) -> Completion:
        return Completion(id=request.id, text=f"The answer is {request.id.index}.", reward=0.1 * request.id.index)

    session = session_of(InRounds(StaticThreshold(0.7, detect_at=2)), cap=9, program=Mcts)
    run = answer_all(session, model)
    assert run.asked == [0, 1, 2]
    assert (run.end.knob, run.end.failed_count) == (3, 0)
    assert [node.answer for node in program_of(session).candidates] == ["2", "1", "0"], "best rewarded first"


def test_where_all_steps_fail_an_iteration_is_spent() -> None:
    def model(request: Request) -> Completion:
        if said(request.prompt) == "step 0\n":
            return Completion(id=request.id, finish=Finish.FAILED, error="400 no")
        text = "The answer is 1." if said(request.prompt) else f"step {request.id.index}"
        told = None if text.endswith(".") else "\n"
        return Completion(id=request.id, text=text, reward=1.0 - 0.1 * request.id.index / 9, stopped_at=told, tokens=1)

    session = session_of(cap=2, program=Mcts)
    run = answer_all(session, model)
    program = program_of(session)
    assert [said(gang[0].prompt) for gang in run.gangs] == ["", "step 0\n", "step 1\n"]
    assert (run.end.knob, run.end.failed_count, run.end.answer) == (2, 3, "1")
    assert (program.evidence.finished, program.tree.nodes[0].closed, program.tree.root.pending) == (1, True, 0)


def test_a_search_whose_first_steps_fail_has_no_answer() -> None:
    def model(request: Request) -> Completion:
        return Completion(id=request.id, finish=Finish.FAILED, error="400 no")

    run = answer_all(session_of(cap=4, program=Mcts), model)
    assert (run.end.answer, run.end.knob, run.end.failed_count) == (None, 1, 3)


def test_parallel_iterations_part() -> None:
    def model(request: Request) -> Completion:
        depth = said(request.prompt).count("\n")
        text = f"The answer is {request.id.index}." if depth else f"step {request.id.index}"
        told = None if depth else "\n"
        return Completion(id=request.id, text=text, reward=0.5, stopped_at=told, mean_logprob=-1.0)

    session = session_of(cap=3, program=mcts(parallel=3))
    run = answer_all(session, model)
    assert [len(gang) for gang in run.gangs] == [3, 9], "one root, then three different nodes"
    assert sorted({said(request.prompt) for request in run.gangs[1]}) == ["step 0\n", "step 1\n", "step 2\n"]
    assert run.end.knob == 3
    assert [node.visits for node in program_of(session).tree.root.children] == [1, 1, 1]


def test_parallel_iterations_that_find_no_path_left_begin_anew() -> None:
    run = answer_all(session_of(cap=3, program=mcts(parallel=3)), same)
    assert (run.end.knob, run.end.stopped_by, run.end.answer) == (1, "the program", "4")
    assert [len(gang) for gang in run.gangs] == [3, 3, 3], "iterations that stand at one node ask once"


def test_in_flight_it_stops_where_it_is_certain_and_leaves_its_places() -> None:
    session = session_of(InFlight(StaticThreshold(0.4, detect_at=1)), cap=9, program=mcts(certaindex="reward"))
    (submit,) = session.start(0.0)
    assert isinstance(submit, Submit)
    assert len(submit.requests) == 3
    steps = [("The answer is 1.", None, 0.9), ("go", "\n", 0.5), ("on", "\n", 0.4)]
    effects: list[Effect] = []
    for request, (text, told, reward) in zip(submit.requests, steps, strict=True):
        effects = session.land(Completion(id=request.id, text=text, stopped_at=told, reward=reward), 1.0)
    (submit,) = effects
    assert isinstance(submit, Submit)
    (cancel,) = session.land(Completion(id=submit.requests[0].id, text="on", stopped_at="\n", reward=0.5), 1.0)
    assert indices(cancel) == [4, 5]
    cut = [Completion(id=request.id, finish=Finish.CANCELLED) for request in submit.requests[1:]]
    assert session.land(cut[0], 1.0) == []
    outcome = outcome_of(session.land(cut[1], 1.0))
    assert (outcome.answer, outcome.knob, outcome.stopped_by, outcome.cut_count) == ("1", 1, "certain", 2)
    program = program_of(session)
    assert not any(node.pending for node in (program.tree.root, *program.tree.walk()))


CONFIGURATIONS = [{}, {"parallel": 3}, {"selection": "uct", "expand": 2}, {"parallel": 4, "expand": 1}]


@pytest.mark.parametrize("failing", [0, 4])
@pytest.mark.parametrize("settings", CONFIGURATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_the_knob_counts_iterations_and_the_cap_is_never_passed(
    seed: int, settings: dict[str, object], failing: int
) -> None:
    session = session_of(InRounds(StaticThreshold(1.0, detect_at=3)), cap=8, program=mcts(**settings))
    run = answer_all(session, SearchModel(seed, failing=failing))
    program = program_of(session)
    assert run.end.knob == 8 or program.tree.root.closed
    assert run.end.knob <= 8
    assert len(program.candidates) == len(set(program.candidates)) <= run.end.knob
    assert sum(program.evidence.ballot.counts) == len(program.candidates) == program.tree.root.visits
    assert program.tree.root.value_sum == pytest.approx(sum(node.reward for node in program.candidates))
    assert program.evidence.tokens == run.end.tokens
    assert len(run.asked) == len(set(run.asked))


def whole(model: Model, order: Random | None = None) -> tuple[Session, Run]:
    session = make()
    return session, answer_all(session, model, order)


def make() -> Session:
    return session_of(InRounds(StaticThreshold(1.0, detect_at=3)), cap=6, program=mcts(parallel=2))


def test_the_order_of_landing_does_not_matter() -> None:
    session, run = whole(SearchModel(5))
    for seed in range(5):
        other, again = whole(SearchModel(5), Random(seed))
        assert tree_of(other.program) == tree_of(session.program)
        assert again.end == run.end


@pytest.mark.parametrize("failing", [0, 4])
def test_a_killed_search_goes_on_from_every_instant_and_asks_for_no_step_twice(failing: int) -> None:
    model = SearchModel(2, failing=failing)
    session, run = whole(model, Random(0))
    for kept in range(len(run.landed)):
        resumed = make()
        left = replay(resumed, run.landed[:kept], 0.0)
        assert left.outcome is None
        rest = answer_all(resumed, model, Random(kept), left.requests)
        paid = [completion.id.index for completion in (*run.landed[:kept], *rest.landed)]
        assert sorted(paid) == sorted(run.asked)
        assert tree_of(resumed.program) == tree_of(session.program)
        assert replace(rest.end, finished_at=1.0) == run.end


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"selection": "greedy"}, "selection is 'greedy'; it must be one of puct, uct"),
        ({"c_base": 0.0}, "c_base is 0.0"),
        ({"c_init": -1.0}, "c_init is -1.0"),
        ({"exploration": -1.0}, "exploration is -1.0"),
        ({"expand": 0}, "expand is 0"),
        ({"parallel": 0}, "parallel is 0"),
        ({"step_tokens": 0}, "step_tokens is 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MctsSettings(**wrong)  # type: ignore[arg-type]
