"""What shadow programs have measured of a policy, folded from their records one by one."""

from dataclasses import dataclass, field

from dynasor.journal.records import ProgramFinished, Shadowed
from dynasor.metrics.intervals import Estimate, RunningMean, RunningSaving, wilson


@dataclass(slots=True)
class ShadowTally:
    """What the policy would have saved and lost, against the cap of the same programs.

    Attributes:
        saving: of tokens.
        lost: accuracy, a share of 1; over the problems whose right answer is known.
        changed: answers other than at the cap.
    """

    count: int = 0
    saving: RunningSaving = field(default_factory=RunningSaving)
    lost: RunningMean = field(default_factory=RunningMean)
    changed: int = 0

    def add(self, record: ProgramFinished, shadow: Shadowed) -> None:
        """Take in one shadow program that has ended."""
        self.count += 1
        self.saving.add(shadow.tokens, record.tokens)
        self.changed += shadow.answer != record.answer
        if record.correct is not None and shadow.correct is not None:
            self.lost.add(record.correct - shadow.correct)

    @property
    def changed_share(self) -> Estimate:
        """The share of answers that the policy would have changed; NaN where there is no shadow program."""
        return wilson(self.changed, self.count)
