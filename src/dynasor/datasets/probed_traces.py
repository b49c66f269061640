"""Recorded chains of thought that were asked for their answer on the way: their probes, and their own end.

Knows two forms. In one a chain was probed at shares of its reasoning (`probes`); in the other the model was made to
think again so many times, and stated an answer after every step (`steps`). It does not know what a probe is good for.
"""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import msgspec

from dynasor.datasets.files import bare_name
from dynasor.datasets.problem import Problem
from dynasor.datasets.tables import json_objects
from dynasor.errors import BadRow, UsageError


class Probe(msgspec.Struct, frozen=True):
    """An answer that was elicited from an unfinished chain.

    Attributes:
        at: the chain's tokens before it.
        answer: what it told; None where it had none.
        mass: the probability, in [0, 1], that the model gave to all possible answers together, rather than to going on.
    """

    at: int
    answer: str | None
    mass: float = 1.0


class ProbedChain(msgspec.Struct, frozen=True):
    """One chain, to its end.

    Attributes:
        answer: its own, after all its tokens.
        tokens: generated, without those of probes.
        probes: in the order of the chain, before its reasoning ended.
        ended: whether it came to its own end.
    """

    answer: str | None
    tokens: int
    probes: tuple[Probe, ...]
    ended: bool = True


class ProbedRecording(msgspec.Struct, frozen=True):
    """The probed chains of one problem, of which there is at least one."""

    problem: Problem
    chains: tuple[ProbedChain, ...]


class ProbedTrace(msgspec.Struct, frozen=True):
    """A trace of probed chains.

    Attributes:
        recordings: one for each problem.
        is_stepwise: probes are the ends of steps, whose tokens are the chain's; so a probe costs nothing more.
    """

    name: str
    recordings: tuple[ProbedRecording, ...]
    is_stepwise: bool


class _Probed(msgspec.Struct):
    f: float
    tok: int
    a: str | None
    m: float


class _Step(msgspec.Struct):
    a: str | None
    tok: int


class _Sample(msgspec.Struct):
    answer: str | None
    tokens: int
    probes: list[_Probed] | None = None
    steps: list[_Step] | None = None


class _Question(msgspec.Struct):
    id: str
    gold: str
    samples: list[_Sample]
    question: str = ""


def read_probed(path: Path) -> ProbedTrace:
    """Read a trace of probed chains.

    Raises:
        BadRow: a line cannot be read, or a sample has neither probes nor steps.
        UsageError: there is no line.
    """
    questions = list(json_objects(path, msgspec.json.Decoder(_Question)))
    if not questions:
        raise UsageError(f"{path} holds no recordings")
    recordings = tuple(_recording(path, line, question) for line, question in questions)
    stepwise = any(sample.steps is not None for _, question in questions for sample in question.samples)
    return ProbedTrace(bare_name(path), recordings, stepwise)


def _recording(path: Path, line: int, question: _Question) -> ProbedRecording:
    if not question.samples or any(sample.probes is None and sample.steps is None for sample in question.samples):
        raise BadRow(path, line, "a sample without 'probes' or 'steps'; name a trace of probed chains")
    chains = (ProbedChain(s.answer, s.tokens, tuple(_probes(s))) for s in question.samples)
    return ProbedRecording(Problem(question.id, question.question, question.gold), tuple(chains))


def _probes(sample: _Sample) -> Iterator[Probe]:
    """Those within the reasoning: a chain that has not begun is not probed, nor is one that writes its answer."""
    for probe in sample.probes or ():
        if 0.0 < probe.f < 1.0:
            yield Probe(probe.tok, probe.a, probe.m)
    steps = sample.steps or []
    for step, at in zip(steps[:-1], accumulate(step.tok for step in steps), strict=False):
        yield Probe(at, step.a)
