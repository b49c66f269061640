"""Recorded chains under the cut rule: the chain, the certaindex and the policy are those of live runs.

What the recordings force: a chain can be asked only where it was asked when it was recorded. It does not know how the
outcomes are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import Policy, Progress
from dynasor.allocation.threshold import SteppedThreshold
from dynasor.answers.grouping import ByNormalForm
from dynasor.datasets.probed_traces import Probe, ProbedChain
from dynasor.programs.chains import Chain
from dynasor.request import ProgramId, RequestId

_ID = RequestId(ProgramId("recorded"), 0)


@dataclass(frozen=True, slots=True)
class Way:
    """How a chain is read.

    Attributes:
        name: "plain" is never asked, "guided" is asked and never cut, "cut" is cut where its last probes agree.
        every: ask at every so many of the recorded probes.
        window: how many probes have to agree; 0 where nothing is cut.
        least_mass: a probe counts as one without an answer where all answers together have less probability.
    """

    name: str
    every: int = 1
    window: int = 0
    least_mass: float = 0.0

    @property
    def policy(self) -> Policy:
        """The default of probed chains of thought, or even allocation."""
        return SteppedThreshold(threshold=1.0, detect_at=self.window, step=1) if self.window else Even()


@dataclass(frozen=True, slots=True)
class Reached:
    """What a chain came to: the answer, all tokens that it took, and whether it was cut."""

    answer: str | None
    tokens: int
    cut: bool = False


def follow(chain: ProbedChain, way: Way, probe_tokens: int) -> Reached:
    """Read a chain in one way; each probe costs `probe_tokens`.

    A chain that was limited before its end has the answer that its last probe told, and none where it is not asked.
    """
    if way.name == "plain":
        return Reached(chain.answer if chain.ended else None, chain.tokens)
    told, allocator, grouping = Chain(_ID, max(1, way.window)), InRounds(way.policy), ByNormalForm
    asked = tuple(_asked(chain, way))
    cap, tokens = len(asked) + 1, 0  # the last round ends in the chain's own end, not in a probe
    for knob, probe in enumerate(asked):
        if not allocator.grant(Progress(knob, cap, told.certaindex(grouping()), tokens)):
            return Reached(told.settled(grouping()), tokens, cut=True)
        told.told(probe.answer)
        tokens = probe.at + (knob + 1) * probe_tokens
    if not allocator.grant(Progress(len(asked), cap, told.certaindex(grouping()), tokens)):
        return Reached(told.settled(grouping()), tokens, cut=True)
    answer = chain.answer if chain.ended else told.leaning(grouping())
    return Reached(answer, chain.tokens + len(asked) * probe_tokens)


def limited(chain: ProbedChain, budget: int) -> ProbedChain:
    """The same chain where no more than so many of its tokens may be generated."""
    if chain.tokens <= budget:
        return chain
    probes = tuple(probe for probe in chain.probes if probe.at <= budget)
    return ProbedChain(None, budget, probes, ended=False)


def _asked(chain: ProbedChain, way: Way) -> Iterator[Probe]:
    for probe in chain.probes[way.every - 1 :: way.every]:
        yield probe if probe.mass >= way.least_mass else msgspec.structs.replace(probe, answer=None)
