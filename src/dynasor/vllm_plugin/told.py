"""Programs whose clients estimate in tokens what they still need, beside those that are estimated here."""

from dataclasses import dataclass, fields

from dynasor.request import ProgramId
from dynasor.scheduling.estimate import Kind
from dynasor.scheduling.table import ProgramTable, Row


@dataclass(slots=True, eq=False)
class ToldRow(Row):
    """One program.

    Attributes:
        told_tokens: what its client last estimated that it still needs; None where it does not estimate.
        told_at_tokens: what had been generated for it by then.
    """

    told_tokens: float | None = None
    told_at_tokens: int = 0

    def tell(self, tokens: float) -> None:
        """Its client estimates anew."""
        self.told_tokens, self.told_at_tokens = tokens, self.attained_tokens

    @property
    def is_estimated(self) -> bool:
        """Whether its client tells what it needs yet."""
        return self.told_tokens is not None or self.remaining_knob is not None

    @property
    def remaining_tokens(self) -> float:
        """What its client estimated, less what has been generated since; else as for any program."""
        if self.told_tokens is None:
            return float(Row.remaining_tokens.__get__(self))
        return max(1.0, self.told_tokens - (self.attained_tokens - self.told_at_tokens))


class ToldTable(ProgramTable):
    """A table of such programs."""

    def find(self, program: ProgramId) -> Row | None:
        """The row of a program, if it has one."""
        return self._rows.get(program)

    def seen(self, program: ProgramId, kind: Kind = Kind()) -> Row:  # noqa: B008  (frozen)
        """The row of a program, a new one if need be."""
        known = program in self
        row = super().seen(program, kind)
        if known:
            return row
        self._rows[program] = ToldRow(**{field.name: getattr(row, field.name) for field in fields(Row)})
        return self._rows[program]
