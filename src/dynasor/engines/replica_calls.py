"""One request over all its attempts: what is asked of the next replica, and what it has cost so far.

Values and their changes only; it knows no replica and no clock.
"""

from dataclasses import dataclass, field

from msgspec.structs import replace

from dynasor.request import Completion, Finish, Report, Request, continued


@dataclass(slots=True, eq=False)
class Call:
    """A request on its way.

    Attributes:
        replica: where it is, or was last; None before the first.
        lost_at: the replicas that have lost it, and how many health checks each had passed by then: it may go there
            again after the next one.
        reissues: how often it was issued again.
        spent_tokens: generated in lost attempts, what was kept of them included.
        kept: what was reported of lost attempts, behind which the present one goes on.
        told: the latest report, with what was kept before it.
        cut: whether the host wants no more of it.
        withdrawn: whether it was taken away from a replica that is taken for dead.
    """

    request: Request
    replica: int | None = None
    lost_at: dict[str, int] = field(default_factory=dict)
    reissues: int = 0
    spent_tokens: int = 0
    kept: Report | None = None
    told: Report | None = None
    cut: bool = False
    withdrawn: bool = False

    @property
    def cost(self) -> int:
        """The most tokens that it may still generate."""
        return self.attempt().sampling.max_tokens

    @property
    def is_reissued(self) -> bool:
        """Whether an attempt at it was lost."""
        return self.reissues > 0

    def attempt(self) -> Request:
        """What is asked: the request, or the rest of it behind what was kept."""
        request, kept = self.request, self.kept
        if kept is None:
            return request
        sampling = replace(request.sampling, max_tokens=request.sampling.max_tokens - kept.tokens)
        return replace(request, prompt=continued(request.prompt, kept.text), sampling=sampling)

    def report(self, news: Report) -> Report:
        """A report of the present attempt, as one of the whole request."""
        if self.kept is not None:
            news = replace(news, text=self.kept.text + news.text, tokens=self.kept.tokens + news.tokens)
        self.told = news
        return news

    def lose(self, tokens: int | None) -> None:
        """The attempt is lost with so many tokens; where it may, the next goes on where the last report ended."""
        told_here = self.told.tokens - (self.kept.tokens if self.kept else 0) if self.told else 0
        self.spent_tokens += told_here if tokens is None else max(tokens, told_here)
        self.kept = self.told if self._goes_on() else None
        self.told = self.kept
        self.withdrawn = False

    def whole(self, news: Completion) -> Completion:
        """What came of the last attempt, as the end of the whole request.

        Its tokens are all that were generated for it, in lost attempts too; None where the server did not tell.
        """
        if news.finish is Finish.CANCELLED and not self.cut:
            news = replace(news, finish=Finish.FAILED, text="", error="its replica fell silent", retryable=True)
        elif self.cut and not news.finish.is_whole:
            news = replace(news, finish=Finish.CANCELLED, error=None, retryable=False)
        if self.kept is not None and news.finish is not Finish.FAILED:
            news = replace(news, text=self.kept.text + news.text)
        if news.error and self.is_reissued:
            news = replace(news, error=f"{news.error} (issued {self.reissues + 1} times)")
        tokens: int | None = news.tokens
        return news if tokens is None else replace(news, tokens=self.spent_tokens + tokens)

    def unanswered(self, finish: Finish, error: str | None = None) -> Completion:
        """Its end while it is at no replica."""
        return self.whole(Completion(id=self.request.id, finish=finish, error=error, retryable=error is not None))

    def _goes_on(self) -> bool:
        """Not with a seed, for the draws would be others than without the loss; nor where every token is measured."""
        sampling, told = self.request.sampling, self.told
        drawn = self.request.seed is not None and sampling.temperature > 0
        return told is not None and not drawn and not sampling.logprobs and told.tokens < sampling.max_tokens
