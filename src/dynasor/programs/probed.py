"""What programs share that probe chains of thought while they run (paper 2.1, 5.1). Knob: refinement rounds.

A chain is one stream that is never interrupted; probes run beside it, on what it has written so far, so that they find
their prefix in the cache. A round is `interval` tokens of every chain and a probe of each, whose tokens count as spent.
"""

from collections.abc import Generator, Sequence
from typing import Any, ClassVar

import msgspec

from dynasor.answers.voting import Ballot
from dynasor.certaindex.entropy import entropy_certaindex
from dynasor.datasets.problem import Problem
from dynasor.programs.chains import Chain
from dynasor.programs.probing import Probing, has_concluded, hesitates
from dynasor.programs.program import Program, Setup
from dynasor.programs.steps import Execution, Grown, Growth
from dynasor.request import Completion, Finish, Request, RequestId, continued


class Probed(Program):
    """Probes its chains round by round until they end, or nothing more is granted.

    Under the policy `even` it probes to elicit and never stops, which is guided reasoning.
    """

    wants_reports = True
    replays = False
    default_policy = "stepped:threshold=1.0,detect_at={detect_at},step=1"
    detect_at = 2
    settings: ClassVar[Probing] = Probing()

    def __init__(self, problem: Problem, setup: Setup) -> None:
        super().__init__(problem, setup)
        self.chains: list[Chain] = []
        self._probed: dict[RequestId, Chain] = {}  # by the probe

    @classmethod
    def stream_count(cls) -> int:
        """Its chains."""
        return cls.settings.chains

    def execute(self) -> Execution:
        """Run the chains, and answer by what they come to."""
        requests = self._start()
        yield self.stream(requests)
        grown = [Grown(request.id) for request in requests]
        while (yield self.claim()):
            grown = yield from self._round(requests)
            if not (thinking := _thinking(grown)):
                break
            yield self.gang([self._probe(chain) for chain in thinking], knob=1)
        yield self.cut(requests)
        if unsettled := [chain for chain in grown if self._is_unsettled(chain)]:
            yield self.gang([self._probe(chain) for chain in unsettled], knob=0)
        return self.ballot_of([chain.leaning(self.setup.grouping()) for chain in self.chains]).majority

    def _round(self, requests: Sequence[Request]) -> Generator[Growth, Any, list[Grown]]:
        """Wait until there is a chain to probe, or all have ended; one that writes its answer is left alone."""
        while True:
            grown = list((yield self.growth(requests)))
            if _thinking(grown) or all(chain.completion for chain in grown):
                return grown

    def update_certaindex(self) -> None:
        """Of one chain, how far its last probes agree; of several, how far what they have settled on does.

        A chain that has not settled has no answer.
        """
        grouping = self.setup.grouping
        if len(self.chains) == 1:
            self.certaindex = self.chains[0].certaindex(grouping())
        else:
            settled = [chain.settled(grouping()) for chain in self.chains]
            self.certaindex = entropy_certaindex(self.ballot_of(settled))

    def land(self, completion: Completion) -> None:
        """A chain's own answer is its last word; a probe's counts where it does not hesitate."""
        super().land(completion)
        answer = self.answer_of(completion)
        if (chain := self._probed.get(completion.id)) is not None:
            chain.told(None if hesitates(completion.text) else answer)
        elif completion.finish is not Finish.LENGTH:  # a chain that was cut off is asked instead
            next(chain for chain in self.chains if chain.id == completion.id).concluded = answer

    def answer_of(self, completion: Completion) -> str | None:
        """A probe's answer is read as the settings say."""
        if completion.id not in self._probed:
            return super().answer_of(completion)
        return self.settings.answer(completion.text, self.setup.extract) if completion.finish.is_whole else None

    def chain_of(self, id: RequestId) -> Chain | None:
        """The chain that a request probes; None for one that is no probe."""
        return self._probed.get(id)

    def even_tokens(self, failed_count: int) -> float:
        """What was spent on what has ended: nobody knows what a chain that was cut would have written."""
        del failed_count
        return float(self.evidence.tokens)

    def ballot_of(self, answers: Sequence[str | None]) -> Ballot:
        """One vote for each chain."""
        ballot = Ballot(self.setup.grouping())
        for place, answer in enumerate(answers):
            ballot.cast(place, answer)
        return ballot

    def _start(self) -> list[Request]:
        settings = self.settings
        most = min(self.setup.sampling.max_tokens, self.setup.cap * settings.interval)
        sampling = msgspec.structs.replace(self.setup.sampling, max_tokens=most)
        requests = [self.request(sampling=sampling, report_every=settings.interval) for _ in range(settings.chains)]
        self.chains = [Chain(request.id, settings.window) for request in requests]
        return requests

    def _probe(self, grown: Grown) -> Request:
        settings = self.settings
        sampling = msgspec.structs.replace(
            self.setup.sampling, temperature=settings.temperature, top_p=settings.top_p, max_tokens=settings.tokens
        )
        prompt = continued(self.prompt, grown.text + settings.behind(grown.text))
        request = msgspec.structs.replace(self.request(prompt, sampling), optional=True)
        self._probed[request.id] = next(chain for chain in self.chains if chain.id == grown.id)
        return request

    def _is_unsettled(self, grown: Grown) -> bool:
        """Whether nobody knows a chain's answer, so that one last probe is to elicit it."""
        failed = grown.completion is not None and grown.completion.finish is Finish.FAILED
        chain = next(chain for chain in self.chains if chain.id == grown.id)
        return not failed and chain.settled(self.setup.grouping()) is None


def _thinking(grown: Sequence[Grown]) -> list[Grown]:
    return [chain for chain in grown if chain.completion is None and not has_concluded(chain.text)]


class ProbedCot(Probed):
    """Probed chain of thought: one chain, cut once its probes agree (internalized CoT, paper 6.1)."""


class ProbedSelfConsistency(Probed):
    """Chains that are probed together and stop together, once enough of them have settled on one answer."""

    settings: ClassVar[Probing] = Probing(chains=5)
