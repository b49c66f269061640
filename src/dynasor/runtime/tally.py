"""The result of a run, folded from its records one by one in constant memory."""

from collections import Counter
from dataclasses import dataclass, field

from dynasor.journal.records import Alarmed, ProgramFinished
from dynasor.metrics.intervals import Estimate, RunningMean, RunningSaving, wilson
from dynasor.runtime.shadow_tally import ShadowTally

_ALARM = ("reason", "mean", "most", "programs", "shadows")


@dataclass(slots=True)
class RunTally:
    """What the finished programs of a run add up to.

    Attributes:
        accuracy: over the problems whose right answer is known.
        tokens: per problem.
        saving: against even allocation at the same cap, on the same problems.
        stops: why programs got no more, and how many for each reason.
        unknown_count: branches whose tokens the server did not tell.
        shadows: what shadow programs have measured.
        promise: what the policy's file promised, in words; where shadow programs measure it.
        alarm: set once the promise was seen not to hold.
        even_recorded: whether the even reference is recorded for every problem, or estimated for some.
    """

    finished: int = 0
    judged: RunningMean = field(default_factory=RunningMean)
    tokens: RunningMean = field(default_factory=RunningMean)
    saving: RunningSaving = field(default_factory=RunningSaving)
    knob: RunningMean = field(default_factory=RunningMean)
    stops: Counter[str] = field(default_factory=Counter)
    cut_tokens: int = 0
    cut_count: int = 0
    failed_count: int = 0
    unknown_count: int = 0
    unanswered: int = 0
    even_recorded: bool = True
    shadows: ShadowTally = field(default_factory=ShadowTally)
    promise: str | None = None
    alarm: Alarmed | None = None

    def add(self, record: ProgramFinished) -> None:
        """Take in one finished program."""
        self.finished += 1
        if record.correct is not None:
            self.judged.add(record.correct)
        self.tokens.add(record.tokens)
        self.knob.add(record.knob)
        self.saving.add(record.tokens, record.even_tokens)
        self.stops[record.stopped_by] += 1
        self.cut_tokens += record.cut_tokens
        self.cut_count += record.cut_count
        self.failed_count += record.failed_count
        self.unknown_count += record.unknown_count
        self.unanswered += record.answer is None
        self.even_recorded &= record.even_recorded
        if record.shadow is not None:
            self.shadows.add(record, record.shadow)

    @property
    def accuracy(self) -> Estimate | None:
        """The share of right answers; None where no right answer is known."""
        return wilson(self.judged.mean * self.judged.count, self.judged.count) if self.judged.count else None

    def summary(self) -> dict[str, object]:
        """The figures by name, for machines."""
        return {
            "problems": self.finished,
            "accuracy": _interval(self.accuracy),
            "tokens": round(self.saving.spent),
            "tokens_per_problem": _interval(self.tokens.estimate()),
            "even_tokens": round(self.saving.reference),
            "even_tokens_are": "recorded" if self.even_recorded else "estimated",
            "tokens_saved": _interval(self.saving.estimate()),
            "branches_per_problem": _interval(self.knob.estimate()),
            "stopped_by": dict(self.stops.most_common()),
            "cut_branches": self.cut_count,
            "cut_tokens": self.cut_tokens,
            "failed_branches": self.failed_count,
            "branches_of_unknown_tokens": self.unknown_count,
            "problems_without_answer": self.unanswered,
            **(self._drift() if self.promise is not None else {}),
        }

    def _drift(self) -> dict[str, object]:
        shadows, alarm = self.shadows, self.alarm
        return {
            "promise": self.promise,
            "shadow_programs": shadows.count,
            "shadow_tokens_saved": _interval(shadows.saving.estimate()),
            "shadow_accuracy_lost": _interval(shadows.lost.estimate()) if shadows.lost.count else None,
            "shadow_answers_changed": _interval(shadows.changed_share),
            "alarm": alarm and {name: getattr(alarm, name) for name in _ALARM},
        }


def _interval(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    figures = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: None if figure != figure else round(figure, 6) for name, figure in figures.items()}
