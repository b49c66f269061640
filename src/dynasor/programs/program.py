"""The Program interface (paper 5.1): what an algorithm implements, and what it yields.

A program does no input or output. Its generator yields a claim ("may I turn the knob further?") and is sent how much
it may, 0 for no more; or it yields a gang of requests and is sent the completions; in the end it returns its answer.
What else it may yield is in `steps`. It knows neither who answers its requests nor what decides its grants.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from types import new_class
from typing import Any, ClassVar, Self

from dynasor.allocation.progress import Progress
from dynasor.answers.calls import calls_answer
from dynasor.answers.extract import EXTRACTORS, Extractor
from dynasor.answers.grouping import ByNormalForm, Grouping
from dynasor.answers.voting import Ballot
from dynasor.certaindex.signal import Evidence, Signal, by_entropy
from dynasor.datasets.problem import Problem
from dynasor.programs.prompt import PromptTemplate
from dynasor.programs.steps import Claim, Cut, Execution, Gang, Growth, Stream
from dynasor.request import Completion, Finish, ProgramId, Prompt, Report, Request, RequestId, Sampling

Scorer = Callable[[Completion], float]
"""How good a completion is; the higher the better."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all programs of a run share.

    Attributes:
        cap: the resource cap, the most that a program's knob may be turned.
        prompt: how a question becomes a prompt.
        sampling: how branches are drawn.
        extract: how an answer is read from a completion's text.
        grouping: makes the grouping of one program's answers.
        signal: how certaindex is read from the branches.
        scorer: how good a completion is, for algorithms that choose by score.
        scored: whether a reward model scores every branch.
        seed: all random choices derive from it and the program's id.
        seeded_requests: whether requests carry seeds, so that a server that honours them repeats itself.
        stream: what the random choices derive from in place of the program's id; "" for the id.
        extra_body: further fields of every request.
    """

    cap: int
    prompt: PromptTemplate = field(default_factory=PromptTemplate)
    sampling: Sampling = field(default_factory=Sampling)
    extract: Extractor = EXTRACTORS["auto"]
    grouping: Callable[[], Grouping] = ByNormalForm
    signal: Signal = by_entropy
    scorer: Scorer | None = None
    scored: bool = False
    seed: int = 0
    seeded_requests: bool = False
    stream: str = ""
    extra_body: dict[str, Any] | None = None


class Program(ABC):
    """One reasoning program answering one problem.

    A subclass implements `execute`, and `update_certaindex` where the default, the setup's signal over the votes of
    all branches, is not its notion of certainty.

    Attributes:
        settings: a frozen dataclass, where the algorithm has settings of its own; `with_settings` changes them.
        default_policy: what stops it where nobody says otherwise; `{detect_at}` stands for the next.
        detect_at: the knob at which the paper first judges it (Table 1).
        reads_scores: whether it chooses by the setup's scorer.
        replays: whether request i may be answered by a recorded sample i: all of its requests ask the same.
        wants_reports: whether it looks at requests while they run, which takes an engine that streams.
        answers_by_majority: whether its answer is the majority of its ballot, with one vote for each turn of the knob.
            Only then does a decided vote decide its answer.
        problem: what is asked.
        setup: what all programs of the run share.
        knob: how far the knob has been turned; kept by the session, save where a program turns it itself, its gangs
            turning it by 0.
        certaindex: the latest reading, in [0, 1].
        branches: the completions that have landed, in the order in which they did; cut and failed ones are not here.
        evidence: running totals over the branches, with the ballot of their answers.
        random: this program's own random stream.
    """

    settings: ClassVar[Any] = None
    default_policy: ClassVar[str] = "static:threshold=0.7,detect_at={detect_at}"
    detect_at: ClassVar[int] = 5
    reads_scores: ClassVar[bool] = False
    replays: ClassVar[bool] = True
    wants_reports: ClassVar[bool] = False
    answers_by_majority: ClassVar[bool] = False

    def __init__(self, problem: Problem, setup: Setup) -> None:
        self.problem = problem
        self.setup = setup
        self.knob = 0
        self.certaindex = 0.0
        self.branches: list[Completion] = []
        self.evidence = Evidence(Ballot(setup.grouping()))
        self._request_count = 0
        self._prompt: Prompt | None = None
        self._random: Random | None = None

    @classmethod
    def stream_count(cls) -> int:
        """How many streams of one program run beside its other requests; a host must leave these room."""
        return 0

    @classmethod
    def with_settings(cls, settings: object) -> type[Self]:
        """This algorithm with other settings."""
        own = {"settings": settings, "__doc__": cls.__doc__, "__module__": cls.__module__}
        return new_class(cls.__name__, (cls,), exec_body=lambda namespace: namespace.update(own))

    @property
    def id(self) -> ProgramId:
        """A program is known by the problem it answers."""
        return ProgramId(self.problem.id)

    @property
    def random(self) -> Random:
        """Made at first use: most programs need none, and seeding one costs more than a branch."""
        if self._random is None:
            self._random = Random(f"program/{self.setup.seed}/{self.setup.stream or self.id}")
        return self._random

    @abstractmethod
    def execute(self) -> Execution:
        """Run the algorithm: yield claims and gangs, return the answer."""

    def update_certaindex(self) -> None:
        """Read `certaindex` anew; called whenever a policy may ask for it."""
        self.certaindex = self.setup.signal(self.evidence)

    def land(self, completion: Completion) -> None:
        """Take in one completion of the gang in flight: keep it and count its vote."""
        self.branches.append(completion)
        evidence = self.evidence
        evidence.ballot.cast(completion.id.index, self.answer_of(completion))
        evidence.finished += 1
        evidence.spend(completion.tokens, completion.mean_logprob)
        if completion.reward is not None:
            evidence.reward(completion.reward)

    def observe(self, report: Report) -> bool:
        """Look at a request of the gang in flight, where it asked for reports; True cuts it."""
        del report
        return False

    def answer_of(self, completion: Completion) -> str | None:
        """The answer in a completion: the recorded one, else read from its text."""
        if completion.recorded is not None:
            return completion.recorded.answer
        if completion.calls:
            return calls_answer(completion.calls)
        return self.setup.extract(completion.text) if completion.finish is not Finish.FAILED else None

    def even_tokens(self, failed_count: int) -> float:
        """What the program would have spent at its cap, as far as its branches tell."""
        evidence = self.evidence
        return evidence.tokens / evidence.counted * (self.setup.cap - failed_count) if evidence.counted else 0.0

    def claim(self) -> Claim:
        """Yield it to be told how much further the knob may be turned."""
        return Claim()

    def request(
        self, prompt: Prompt | None = None, sampling: Sampling | None = None, *, report_every: int | None = None
    ) -> Request:
        """A request of this program; the setup's prompt and sampling unless told otherwise."""
        index = self._request_count
        self._request_count += 1
        if prompt is None:
            prompt = self.prompt
        return Request(
            RequestId(self.id, index),
            prompt,
            self.setup.sampling if sampling is None else sampling,
            _seed_of(self.setup.seed, self.setup.stream or self.id, index) if self.setup.seeded_requests else None,
            self.setup.scored,
            report_every,
            extra_body=self.setup.extra_body,
        )

    @property
    def prompt(self) -> Prompt:
        """The prompt of the problem's question."""
        if self._prompt is None:
            self._prompt = self.setup.prompt.fill(self.problem.question)
        return self._prompt

    def gang(self, requests: int | Iterable[Request], knob: int | None = None) -> Gang:
        """Yield it to have requests answered together; a number asks the setup's prompt that many times."""
        if isinstance(requests, int):
            requests = [self.request() for _ in range(requests)]
        requests = tuple(requests)
        return Gang(requests, len(requests) if knob is None else knob)

    def stream(self, requests: Iterable[Request]) -> Stream:
        """Yield it to start requests that run beside what follows."""
        return Stream(tuple(requests))

    def growth(self, requests: Iterable[Request]) -> Growth:
        """Yield it to wait until each of these streams has grown or ended."""
        return Growth(tuple(request.id for request in requests))

    def cut(self, requests: Iterable[Request]) -> Cut:
        """Yield it to cut streams."""
        return Cut(tuple(request.id for request in requests))

    def progress(self) -> Progress:
        """What a policy may know."""
        evidence = self.evidence
        return Progress(self.knob, self.setup.cap, self.certaindex, evidence.tokens, evidence.ballot.votes())


def _seed_of(seed: int, program: str, index: int) -> int:
    """31 bits, because some servers take no more."""
    digest = blake2b(f"{seed}/{program}/{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
