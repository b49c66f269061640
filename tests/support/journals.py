"""Journals of runs that never were: synthetic problems, answered under a policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from dynasor.journal.journal import JournalWriter
from dynasor.journal.records import Landed, ProgramFinished, RunStarted, Setting
from dynasor.request import Completion, ProgramId, RequestId


@dataclass(frozen=True)
class SyntheticRun:
    """Problems of evenly spread difficulty, answered by branches of about 100 tokens.

    `effort` is the mean share of the cap that a problem gets; it saves 1 - effort. `skill` is the mean accuracy.
    """

    policy: str = "even"
    cap: int = 40
    seed: int = 0
    count: int = 200
    effort: float = 1.0
    skill: float = 0.8
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def all_settings(self) -> dict[str, Setting]:
        own: dict[str, Setting] = {"algorithm": "sc", "policy": self.policy, "in_flight": False, "cap": self.cap}
        return {**own, "seed": self.seed, **self.settings}

    def records(self) -> list[ProgramFinished]:
        random = Random(f"{self.policy} {self.cap} {self.seed}")
        return [self._record(number, random) for number in range(self.count)]

    def _record(self, number: int, random: Random) -> ProgramFinished:
        hardness = Random(f"problem {number}").random()
        right = hardness < self.skill + random.uniform(-0.05, 0.05)
        knob = max(
            1, min(self.cap, round(self.cap * self.effort * random.uniform(0.6, 1.4) if self.effort < 1 else self.cap))
        )
        return finished(
            f"p{number}",
            answer=str(number) if right else "wrong",
            correct=float(right),
            certaindex=1 - hardness,
            knob=knob,
            tokens=round(knob * (60 + 80 * hardness)),
            even_tokens=self.cap * (60 + 80 * hardness),
            stopped_by="cap" if knob == self.cap else "certain",
        )

    def write(self, directory: Path) -> Path:
        return write_run(directory, self.records(), self.all_settings)


BLANK = ProgramFinished(
    program="p0", question="", gold=None, answer="1", correct=1.0, certaindex=0.5, knob=10, tokens=1000,
    stopped_by="cap", even_tokens=1000.0,
)  # fmt: skip


def finished(program: str, **figures: object) -> ProgramFinished:
    """A finished program; what a test does not care about is filled in."""
    return msgspec.structs.replace(BLANK, **{"program": program, "question": f"What is {program}?", **figures})


def write_run(
    directory: Path,
    records: Sequence[ProgramFinished],
    settings: Mapping[str, Setting],
    circumstances: Mapping[str, Setting] | None = None,
) -> Path:
    """Write a run with one landed branch before each finished program; return its directory."""
    directory.mkdir(parents=True)
    with JournalWriter(directory / "journal.jsonl") as journal:
        journal.append(RunStarted(settings=dict(settings), circumstances=dict(circumstances or {})))
        for record in records:
            branch = Completion(id=RequestId(ProgramId(record.program), 0), text="...", tokens=100)
            journal.append(Landed(answer=record.answer, completion=branch))
            journal.append(record)
    return directory
