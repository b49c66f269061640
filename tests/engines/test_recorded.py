from collections.abc import Callable, Sequence

import pytest

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.threshold import StaticThreshold
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.engines.engine import Engine
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import UsageError
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Finish, ProgramId, Request, RequestId, Sample, Sampling
from dynasor.runtime.drive import drive
from support.batches import samples_of
from support.engine_contract import EngineContract, MakeRequest

SAMPLES = {"p": tuple(Sample(str(i), 10 * (i + 1), f"text {i}", -0.1, 0.5) for i in range(6))}


def request(index: int, program: str = "p") -> Request:
    return Request(RequestId(ProgramId(program), index), "?", Sampling())


def drained(engine: RecordedEngine) -> list[tuple[int, int | None]]:
    ended: list[tuple[int, int | None]] = []
    while completions := engine.take():
        ended += [(completion.id.index, completion.tokens) for completion in completions]
    return ended


def test_branch_i_is_sample_i_of_a_seeded_order() -> None:
    engine = RecordedEngine(SAMPLES, seed=3)
    order = engine.order("p")
    assert sorted(order) == list(range(6))
    for index in range(6):
        engine.submit(request(index))
    assert dict(drained(engine)) == {i: 10 * (order[i] + 1) for i in range(6)}


def test_without_a_seed_branch_i_is_sample_i() -> None:
    assert RecordedEngine(SAMPLES).order("p") == list(range(6))


def test_the_order_is_not_drawn_from_the_stream_that_the_program_draws_from() -> None:
    program = SelfConsistency(Problem("p", "?"), Setup(cap=6, seed=3))
    shuffled = list(range(6))
    program.random.shuffle(shuffled)
    assert RecordedEngine(SAMPLES, seed=3).order("p") != shuffled


def test_each_seed_is_another_run_and_the_same_seed_the_same() -> None:
    orders = [tuple(RecordedEngine(SAMPLES, seed=seed).order("p")) for seed in (0, 0, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len(set(orders)) == 4


def test_branches_land_in_the_order_of_their_lengths() -> None:
    engine = RecordedEngine(SAMPLES, seed=1)
    for index in range(6):
        engine.submit(request(index))
    tokens = [tokens for _, tokens in drained(engine)]
    assert tokens == sorted(tokens, key=lambda count: count or 0) == [10, 20, 30, 40, 50, 60]


def test_a_cut_branch_has_cost_what_was_generated_since_it_started() -> None:
    engine = RecordedEngine(SAMPLES, seed=1)
    by_tokens = {10 * (engine.order("p")[index] + 1): index for index in range(6)}
    engine.submit(request(by_tokens[20]))
    engine.submit(request(by_tokens[60]))
    engine.take()
    engine.submit(request(by_tokens[50]))
    engine.submit(request(by_tokens[10]))
    engine.take()
    for tokens in (60, 50, 50):
        engine.cancel(RequestId(ProgramId("p"), by_tokens[tokens]))
    cut = engine.take()
    assert [(c.id.index, c.tokens, c.finish) for c in cut] == [
        (by_tokens[60], 30, Finish.CANCELLED),
        (by_tokens[50], 10, Finish.CANCELLED),
    ]
    assert engine.take() == []


def test_completions_carry_what_was_recorded() -> None:
    engine = RecordedEngine(SAMPLES, seed=1)
    engine.submit(request(0))
    (completion,) = engine.take()
    place = engine.order("p")[0]
    assert completion.recorded is not None
    assert (completion.recorded.answer, completion.text) == (str(place), f"text {place}")
    assert (completion.mean_logprob, completion.reward) == (-0.1, 0.5)


@pytest.mark.parametrize(("index", "program"), [(6, "p"), (0, "stranger")])
def test_what_was_not_recorded_fails(index: int, program: str) -> None:
    engine = RecordedEngine(SAMPLES, seed=1)
    engine.submit(request(index, program))
    (completion,) = engine.take()
    assert completion.finish is Finish.FAILED
    assert not completion.retryable
    assert f"asked for number {index + 1}" in (completion.error or "")


async def test_a_problem_without_samples_is_found_before_any_request() -> None:
    with pytest.raises(UsageError, match="no samples for problem 'q'"):
        await RecordedEngine({**SAMPLES, "q": ()}).check()
    await RecordedEngine(SAMPLES).check()


async def test_closing_forgets_what_runs() -> None:
    engine = RecordedEngine(SAMPLES, seed=1)
    engine.submit(request(0))
    await engine.close()
    assert await engine.ready() == []


def spent(engine: RecordedEngine, samples: Sequence[str], *, in_flight: bool) -> dict[str, int]:
    policy = StaticThreshold(0.7, 3)
    tokens = {}
    for name in samples:
        program = SelfConsistency(Problem(name, "?"), Setup(cap=6, grouping=ByText))
        tokens[name] = drive(Session(program, (InFlight if in_flight else InRounds)(policy)), engine).tokens
    return tokens


def test_what_else_runs_on_the_recording_changes_nothing() -> None:
    samples = samples_of(5)
    together, alone = RecordedEngine(samples, seed=0), RecordedEngine(samples, seed=0)
    in_order = spent(together, list(samples), in_flight=True)
    backwards = spent(alone, list(reversed(samples)), in_flight=True)
    assert in_order == backwards


def test_even_tokens_are_what_even_allocation_takes() -> None:
    samples = samples_of(3)
    engine = RecordedEngine(samples, seed=5)
    for name in samples:
        session = Session(SelfConsistency(Problem(name, "?"), Setup(cap=4, grouping=ByText)), InRounds(Even()))
        assert drive(session, engine).tokens == engine.even_tokens(name, 4)


def test_a_branch_that_was_cut_and_asked_for_again_takes_its_whole_time() -> None:
    engine = RecordedEngine({"p": (Sample("a", 30),), "q": (Sample("b", 10),)})
    engine.submit(request(0))
    engine.submit(request(0, "q"))
    engine.take()
    engine.cancel(RequestId(ProgramId("p"), 0))
    engine.take()
    engine.submit(request(0))
    engine.submit(request(0, "q"))
    assert drained(engine) == [(0, 10), (0, 30)]
    assert engine.take() == []


class TestRecordedContract(EngineContract):
    @pytest.fixture
    def make_engine(self) -> Callable[[], Engine]:
        short = tuple(Sample(str(n), 10 + n % 7) for n in range(200))
        long = (Sample("late", 1_000_000),) * 310
        return lambda: RecordedEngine({"short": short, "long": long})

    @pytest.fixture
    def answering(self) -> MakeRequest:
        return lambda index: request(index, "short")

    @pytest.fixture
    def long_running(self) -> MakeRequest:
        return lambda index: request(index, "long")

    @pytest.fixture
    def failing(self) -> MakeRequest:
        return lambda index: request(index, "short")
