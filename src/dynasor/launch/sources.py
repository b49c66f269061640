"""Where the problems of a run come from, and who answers them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dynasor.datasets.problem import Problem
from dynasor.datasets.problem_sets import problem_set
from dynasor.datasets.recordings import read_recordings
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_file import read_gguf
from dynasor.engines.embedded_model import DEFAULT_SLOTS, EmbeddedModel
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.recorded import RecordedEngine
from dynasor.engines.reward_options import make_reward_model
from dynasor.engines.rewarding import RewardedEngine
from dynasor.errors import UsageError
from dynasor.journal.records import Setting
from dynasor.launch.measures import check_live, check_recorded
from dynasor.launch.options import AUTO, RunOptions
from dynasor.launch.replicas import replicated
from dynasor.programs.program import Program
from dynasor.request import Sample
from dynasor.runtime.in_flight import Limits

MOST_ADAPTIVE = 1024
UNBOUNDED = 1 << 30  # a recording has no server to protect, and its time stands still while a gang waits


@dataclass(slots=True)
class Source:
    """Problems with somebody to answer them.

    Attributes:
        count: how many problems.
        settings: what identifies them in a journal.
        even_tokens: what even allocation takes for a problem, where that is recorded.
    """

    name: str
    problems: Iterable[Problem]
    count: int
    engine: Engine
    settings: dict[str, Setting]
    limits: Limits
    even_tokens: Callable[[str], float] | None = None


def recorded_source(options: RunOptions, algorithm: type[Program]) -> Source:
    """A recording: it brings both.

    Raises:
        UsageError: where it cannot be read, has fewer samples than the cap, or lacks what a signal or a scorer reads.
    """
    if options.problems or options.endpoint or options.model:
        raise UsageError("a trace brings its problems and its answers; give either --trace, or problems and --endpoint")
    assert options.trace is not None  # noqa: S101  (for the type checker)
    recordings = read_recordings(options.trace)
    chosen = list(recordings)[options.offset :][: options.limit]
    if not chosen:
        raise UsageError(f"{options.trace} has no problems after the first {options.offset}; lower --offset")
    samples: Mapping[str, tuple[Sample, ...]] = {recording.problem.id: recording.samples for recording in chosen}
    for recording in chosen:
        if len(recording.samples) < options.cap:
            failed = f" ({recording.failed_count} of its branches failed)" if recording.failed_count else ""
            raise UsageError(
                f"the cap is {options.cap}, and {options.trace} has {len(recording.samples)} samples for problem"
                f" '{recording.problem.id}'{failed}; lower the cap"
            )
    check_recorded(options, algorithm, chosen)
    engine = RecordedEngine(samples, seed=options.seed if options.seed or not Path(options.trace).is_dir() else None)
    return Source(
        recordings.name,
        [recording.problem for recording in chosen],
        len(chosen),
        engine,
        {"trace": recordings.name, "digest": recordings.digest()},
        Limits(requests=UNBOUNDED),
        lambda problem: engine.even_tokens(problem, options.cap),
    )


def live_source(options: RunOptions, algorithm: type[Program]) -> Source:
    """A set of problems, and a server or a model.

    Raises:
        UsageError: where either is missing, a row is malformed, a signal or a scorer will have nothing to read, or the
            model's file cannot be used.
    """
    if options.problems is None:
        raise UsageError("nothing to run: give a file of problems and an endpoint, or a trace (try --trace svamp)")
    if options.endpoint is None and options.model is None:
        raise UsageError(
            "problems need somebody to answer them: give --endpoint http://HOST:PORT/v1, --model FILE.gguf, or a trace"
        )
    check_live(options, algorithm)
    problems = problem_set(
        options.problems, format=options.format, columns=options.columns, limit=options.limit, offset=options.offset
    )
    count = sum(
        1 for _ in problems
    )  # reads every row once, so that a malformed one is found before anything is paid for
    engine, identity = _answering(options, 2 * algorithm.stream_count())
    return Source(
        problems.name,
        problems,
        count,
        engine,
        {"problems": problems.name, "digest": problems.digest(), **identity},
        _limits(engine, options, algorithm),
    )


def _limits(engine: Engine, options: RunOptions, algorithm: type[Program]) -> Limits:
    """As many programs as requests; where programs keep streams running, half of the places are left for the others.

    Where the server itself orders what waits, by priority, nothing is held back from it but programs.
    """
    streams, concurrency = algorithm.stream_count(), concurrency_of(options)
    prioritized = options.endpoint is not None and options.endpoint.priority != "none"
    if options.concurrency == AUTO and (prioritized or streams):
        told = "with --priority nothing is held back" if prioritized else f"{streams} streams of a program need room"
        raise UsageError(f"{told}, so there is nothing for --concurrency auto to find; give a number")
    requests = UNBOUNDED if prioritized else concurrency
    limits = Limits(requests, concurrency, adaptive=options.concurrency == AUTO, outage_s=options.outage_s)
    if not streams:
        return limits
    places = engine.slot_count if isinstance(engine, EmbeddedEngine) else concurrency
    if places < 2 * streams:
        raise UsageError(
            f"{streams} streams of a program and what runs beside them need {2 * streams} places, and there are"
            f" {places}; raise --concurrency"
        )
    return replace(limits, programs=places // (2 * streams))


def concurrency_of(options: RunOptions) -> int:
    """The most requests at a time; where that adapts, a bound which no server is expected to come to."""
    return MOST_ADAPTIVE if options.concurrency == AUTO else options.concurrency


def rewarded(engine: Engine, options: RunOptions) -> Engine:
    """The engine with the run's reward model beside it, where there is one."""
    return engine if options.reward is None else RewardedEngine(engine, make_reward_model(options.reward))


def _answering(options: RunOptions, least_slots: int) -> tuple[Engine, dict[str, Setting]]:
    """Who answers, and what identifies it in a journal as far as it is known by now."""
    if options.endpoint is not None:
        first, others = options.endpoint, options.replicas
        return replicated(first, *others) if others else OpenAIEngine(first), {"api": first.api}
    assert options.model is not None  # noqa: S101  (for the type checker)
    slots = options.model.slots or min(concurrency_of(options), max(DEFAULT_SLOTS, least_slots))
    return _embedded(replace(options.model, slots=slots), options.sampling.max_tokens)


def _embedded(model: EmbeddedModel, max_tokens: int) -> tuple[Engine, dict[str, Setting]]:
    file = read_gguf(model.file)
    context = file.context_tokens(model)
    if max_tokens > context:
        raise UsageError(
            f"max_tokens is {max_tokens}, and the context of {file.path.name} is {context} tokens, the prompt included;"
            " lower --max-tokens or raise --context"
        )
    settings: dict[str, Setting] = {"api": model.api, "model": file.fingerprint(), "context_tokens": context}
    return EmbeddedEngine(model), settings
