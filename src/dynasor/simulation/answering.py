"""What a simulated program is answered: recorded samples, or a recorded chain and its probes. Knows no time."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dynasor.datasets.probed_traces import ProbedChain
from dynasor.request import Completion, Finish, Recorded, Request, RequestId, Sample
from dynasor.simulation.plan import PlannedProgram
from dynasor.simulation.requests import Served

PROBE_TOKENS = 8
"""Of a probe's answer: a letter or a number, and the brace behind it."""

SUFFIX_TOKENS = 24
"""Of what is put behind the chain to elicit it. The chain itself is in the cache, as it is still being written."""


class Size(NamedTuple):
    """How long the answer of a request is, what its prompt has beyond the program's, and when whoever asked is told."""

    tokens: int
    prompt_tokens: int = 0
    milestones: tuple[int, ...] = ()


class Answering(Protocol):
    """Answers the requests of one program."""

    def ask(self, request: Request) -> Size | Completion:
        """The size of an answer; a completion where there is none."""
        ...

    def grew(self, tokens: int) -> bool:
        """A request has come to a milestone; returns whether the program did not know."""
        ...

    def completion(self, served: Served) -> Completion:
        """What a request that has ended came to."""
        ...


def answering(planned: PlannedProgram) -> Answering:
    """What answers a program."""
    return _Samples(planned.samples) if planned.chain is None else _Chain(planned.chain)


class _Samples:
    """Sample i for request i."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def ask(self, request: Request) -> Size | Completion:
        index = request.id.index
        if index < len(self._samples):
            return Size(self._samples[index].tokens)
        fault = f"the recording has {len(self._samples)} samples; asked for number {index + 1}"
        return Completion(id=request.id, finish=Finish.FAILED, error=fault)

    def grew(self, tokens: int) -> bool:
        del tokens
        return False

    def completion(self, served: Served) -> Completion:
        if served.finish is not Finish.STOP:
            return _cut(served)
        sample = self._samples[served.id.index]
        return Completion(
            id=served.id,
            text=sample.text,
            tokens=sample.tokens,
            prompt_tokens=served.prompt_tokens,
            mean_logprob=sample.mean_logprob,
            reward=sample.reward,
            recorded=Recorded(sample.answer),
        )


class _Chain:
    """The chain for what asks for reports, and the probe where the chain stands for whatever else is asked.

    It can be asked only where it was asked when it was recorded.
    """

    def __init__(self, chain: ProbedChain) -> None:
        self._chain = chain
        self._probes = {probe.at: probe.answer for probe in chain.probes if 1 < probe.at < chain.tokens}
        self._stands = 0
        self._told: dict[RequestId, str | None] = {}  # by the probe

    def ask(self, request: Request) -> Size | Completion:
        if request.report_every is not None:
            return Size(self._chain.tokens, milestones=tuple(sorted(self._probes)))
        self._told[request.id] = self._probes.get(self._stands)
        return Size(PROBE_TOKENS, SUFFIX_TOKENS)

    def grew(self, tokens: int) -> bool:
        fresh = tokens > self._stands  # else its replica has died, and it is written anew
        self._stands = max(tokens, self._stands)
        return fresh

    def completion(self, served: Served) -> Completion:
        if served.finish is not Finish.STOP:
            return _cut(served)
        if served.id in self._told:
            answer = self._told[served.id]
            text = "" if answer is None else f"{answer}}}"
            return Completion(id=served.id, text=text, tokens=served.tokens, prompt_tokens=served.prompt_tokens)
        return Completion(
            id=served.id,
            tokens=served.tokens,
            prompt_tokens=served.prompt_tokens,
            recorded=Recorded(self._chain.answer),
        )


def _cut(served: Served) -> Completion:
    return Completion(id=served.id, finish=served.finish, tokens=served.tokens, prompt_tokens=served.prompt_tokens)
