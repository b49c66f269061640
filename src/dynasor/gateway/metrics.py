"""`GET /metrics`: what the gateway has counted, and how it stands now, as Prometheus reads it.

Names follow vLLM's (`vllm:prompt_tokens_total` is `dynasor:prompt_tokens_total` here). What happens is counted
elsewhere, in plain numbers, and put into its form only when somebody asks.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric

from dynasor import __version__
from dynasor.engines.replica_breaker import BreakerState
from dynasor.gateway.admission import Admission
from dynasor.gateway.backends import Backends
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.metric_forms import by_word, counter, gauge, histogram, met_or_missed, plain
from dynasor.gateway.metrics_door import MetricsDoor
from dynasor.gateway.program_counts import Ended, ProgramCounts
from dynasor.gateway.request_counts import RequestCounts
from dynasor.runtime.service import Service

_FORM = [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]


@dataclass(frozen=True, slots=True)
class Present:
    """What is looked at when somebody asks.

    Attributes:
        services: tells which run programs.
    """

    backends: Backends
    admission: Admission
    services: Callable[[], Collection[Service]]


class Metrics:
    """The route; also a collector of prometheus-client's."""

    def __init__(self, door: MetricsDoor, requests: RequestCounts, programs: ProgramCounts, present: Present) -> None:
        self._door, self._requests, self._programs, self._present = door, requests, programs, present
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    async def __call__(self, exchange: Exchange) -> None:
        """Tell all."""
        self._door.admit(exchange)
        await exchange.answer(200, generate_latest(self._registry), _FORM)

    def describe(self) -> list[Any]:
        """Nothing that is known before it is asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All figures."""
        version = [([__version__], 1.0)]
        yield gauge("build_info", "The version of Dynasor; always 1.", ["version"], version)
        yield from _of_requests(self._requests)
        yield from _of_turns(self._present.admission)
        yield from _of_backends(self._present.backends)
        yield from _of_programs(self._programs)
        yield from _of_services(self._present.services())


def _of_requests(counts: RequestCounts) -> Iterator[Metric]:
    served = list(counts.served.items())
    yield counter(
        "requests", "HTTP requests that have ended.", ["route", "status", "tenant", "model_name"],
        [((row.route, str(row.status), row.tenant, row.model), of.requests) for row, of in served],
    )  # fmt: skip
    labels = ["route", "tenant", "model_name"]
    asked = [((row.route, row.tenant, row.model), of) for row, of in served if of.prompt_tokens or of.generation_tokens]
    prompts = _summed((key, of.prompt_tokens) for key, of in asked)
    generated = _summed((key, of.generation_tokens) for key, of in asked)
    yield counter("prompt_tokens", "Tokens of prompts, as far as backends told.", labels, prompts)
    yield counter("generation_tokens", "Tokens generated, those of branches that were cut included.", labels, generated)
    yield counter("refusals", "Requests refused, and streams broken off.", ["reason"], by_word(counts.refusals))
    yield counter("upstream_aborts", "Requests cut while a backend answered.", ["reason"], by_word(counts.aborts))
    yield counter("reissues", "Requests sent once more to a backend after one was lost.", [], plain(counts.reissues))
    told = "Requests whose client wanted the answer to begin by a deadline."
    yield counter("request_deadlines", told, ["outcome"], met_or_missed(counts.deadlines))
    for name, told, of_routes in (
        ("e2e_request_latency_seconds", "From the headers to the end of the answer.", counts.latency),
        ("time_to_first_token_seconds", "From the body to the first of the answer.", counts.first_token),
        ("request_queue_time_seconds", "From the body until it was sent to a backend.", counts.queued),
    ):
        yield histogram(name, told, ["route"], [([route], times) for route, times in of_routes.items()])


def _of_turns(admission: Admission) -> Iterator[Metric]:
    lanes, labels = admission.turns.lanes, ["tenant"]
    yield gauge(
        "num_requests_running",
        "Requests at the backends.",
        labels,
        [([lane.tenant.name], lane.running) for lane in lanes],
    )
    yield gauge(
        "num_requests_waiting", "Requests that wait.", labels, [([lane.tenant.name], lane.waiting) for lane in lanes]
    )
    told = "Tokens served to a tenant."
    yield counter("tenant_tokens", told, labels, [([lane.tenant.name], lane.served_tokens) for lane in lanes])
    told = "A tenant's weight when requests must wait."
    yield gauge("tenant_share", told, labels, [([lane.tenant.name], lane.tenant.share) for lane in lanes])
    yield gauge("client_programs_open", "Client-driven programs.", [], plain(len(admission.programs)))


def _of_backends(backends: Backends) -> Iterator[Metric]:
    labels, known = ["backend"], [([backend.name], backend) for backend in backends.all]
    yield gauge("backend_up", "Whether it answered the latest health check.", labels,
                [(name, backend.healthy) for name, backend in known])  # fmt: skip
    yield gauge("backend_breaker", "1 for the state that its circuit breaker is in.", ["backend", "state"],
                [([*name, state.value], backend.breaker.state is state)
                 for name, backend in known for state in BreakerState])  # fmt: skip
    yield gauge("backend_requests_running", "Requests at it.", labels,
                [(name, backend.in_flight) for name, backend in known])  # fmt: skip
    yield counter("backend_answers", "Requests that it answered.", labels,
                  [(name, backend.answered_count) for name, backend in known])  # fmt: skip
    yield counter("backend_failures", "Requests that failed by its fault.", labels,
                  [(name, backend.failure_count) for name, backend in known])  # fmt: skip


def _of_programs(counts: ProgramCounts) -> Iterator[Metric]:
    kinds, labels = list(counts.ended.items()), ["algorithm", "policy"]
    outcomes = [
        ([*kind, word], getattr(of, word)) for kind, of in kinds for word in ("finished", "withdrawn", "failed")
    ]
    yield counter("programs", "Programs that have ended.", [*labels, "outcome"], outcomes)
    for name, told, number in _PROGRAM_TOKENS:
        yield counter(name, told, labels, [(kind, number(of)) for kind, of in kinds])
    told = "From a program's start to its answer."
    yield histogram("program_latency_seconds", told, labels, [(kind, of.latency) for kind, of in kinds])
    told = "Certaindex when a program stopped."
    yield histogram("certaindex", told, labels, [(kind, of.certaindex) for kind, of in kinds])
    yield counter("stop_decisions", "Programs that finished, by what stopped them.", ["reason"], by_word(counts.stops))
    told = "Programs with a deadline that have ended."
    yield counter("program_deadlines", told, ["outcome"], met_or_missed(counts.deadlines))
    landed = list(counts.landed.items())
    branches = [([finish], of.branches) for finish, of in landed]
    yield counter("branches", "Branches and probes that have ended.", ["finish"], branches)
    tokens = [([finish], of.tokens) for finish, of in landed]
    yield counter("branch_tokens", "Tokens that they have generated.", ["finish"], tokens)


def _of_services(services: Collection[Service]) -> Iterator[Metric]:
    running = sum(service.program_count - service.waiting_count for service in services)
    yield gauge("programs_running", "Programs that run.", [], plain(running))
    waiting = sum(service.waiting_count for service in services)
    yield gauge("programs_waiting", "Programs that wait for their start.", [], plain(waiting))
    requests = sum(service.request_count for service in services)
    yield gauge("program_requests", "Requests of programs, at an engine or waiting for it.", [], plain(requests))


def _summed(rows: Any) -> list[tuple[tuple[str, ...], float]]:
    sums: dict[tuple[str, ...], float] = {}
    for key, number in rows:
        sums[key] = sums.get(key, 0) + number
    return list(sums.items())


_PROGRAM_TOKENS: tuple[tuple[str, str, Callable[[Ended], int]], ...] = (
    ("program_tokens", "Tokens spent by programs that finished.", lambda of: of.tokens),
    ("program_cut_tokens", "Of these, on branches that were cut.", lambda of: of.cut_tokens),
    ("even_tokens", "Tokens that even allocation would have spent, where that is known.", lambda of: of.even_tokens),
    ("tokens_saved", "By programs that spent less than that.", lambda of: of.saved_tokens),
    ("tokens_overspent", "By programs that spent more than that.", lambda of: of.overspent_tokens),
)
