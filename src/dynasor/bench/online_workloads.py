"""The programs of the online evaluation: which come, when they are due, and which problems policies are chosen on.

Deadlines go by difficulty (paper 6.1): scale x factor x base. A problem is always, sometimes or never right, by all its
recorded samples; the factor of a class is what its samples take in tokens over what those of the easiest class take, at
least 1. It knows recordings; it serves nothing.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import Random
from statistics import fmean

import msgspec

from dynasor.bench.offline_workloads import workload_of
from dynasor.datasets.problem import Problem, Recording
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError
from dynasor.request import Sample

ALWAYS, SOMETIMES, NEVER = "always right", "sometimes right", "never right"
CLASSES = (ALWAYS, SOMETIMES, NEVER)
FEWEST = 20
CHARACTERS_PER_TOKEN = 4


class Workload:
    """A recording whose problems have enough samples.

    Attributes:
        name, digest: of the recording.
    """

    def __init__(self, source: str, cap: int) -> None:
        recordings = read_recordings(source)
        self.name, self.digest = workload_of(source).name, recordings.digest()
        self.recordings = [each for each in recordings if len(each.samples) >= cap]
        if len(self.recordings) < FEWEST:
            raise UsageError(
                f"{source} has {len(self.recordings)} problems with {cap} samples, and {FEWEST} are needed;"
                " lower the caps or leave it out"
            )
        self.factors = factors(self.recordings)
        self._halves: dict[int, tuple[list[Recording], list[Recording]]] = {}

    def factor(self, recording: Recording) -> float:
        """How many times the base deadline a problem has."""
        return self.factors[difficulty(recording)]

    def halves(self, seed: int) -> tuple[list[Recording], list[Recording]]:
        """Problems that come, and those that policies are chosen on; no problem is in both."""
        if seed not in self._halves:
            order = list(self.recordings)
            Random(f"{seed}/halves").shuffle(order)
            middle = len(order) // 2
            self._halves[seed] = order[:middle], order[middle:]
        return self._halves[seed]

    def coming(self, seed: int, number: int) -> tuple[Recording, Problem, list[Sample]]:
        """The program with a number; once all problems have come, they come again with samples in another order."""
        served, _ = self.halves(seed)
        turn, place = divmod(number, len(served))
        recording = served[place]
        id = recording.problem.id + (f" again {turn}" if turn else "")
        samples = list(recording.samples)
        Random(f"{seed}/{id}").shuffle(samples)
        return recording, msgspec.structs.replace(recording.problem, id=id), samples


@lru_cache(maxsize=8)
def online_workload(source: str, cap: int) -> Workload:
    """The workload of a recording, read once in a process."""
    return Workload(source, cap)


def difficulty(recording: Recording) -> str:
    """The class of a problem, by its recorded samples."""
    verdicts = [(recording.problem.verdicts or {}).get(sample.answer or "", 0.0) for sample in recording.samples]
    if all(verdict == 1.0 for verdict in verdicts):
        return ALWAYS
    return SOMETIMES if any(verdicts) else NEVER


def single_accuracy(recordings: Sequence[Recording]) -> float:
    """Of one sample, on average."""
    return fmean(
        fmean((each.problem.verdicts or {}).get(sample.answer or "", 0.0) for sample in each.samples)
        for each in recordings
    )


def sample_tokens(recordings: Sequence[Recording]) -> float:
    """Of one sample, on average."""
    return fmean(fmean(sample.tokens for sample in each.samples) for each in recordings)


def shares(recordings: Sequence[Recording]) -> dict[str, float]:
    """How many of the problems are of each class."""
    found = [difficulty(each) for each in recordings]
    return {name: found.count(name) / len(found) for name in CLASSES}


def factors(recordings: Sequence[Recording]) -> Mapping[str, float]:
    """The factor of each class: its tokens a sample over those of the first class that there is, at least 1."""
    found: dict[str, float] = {}
    easiest = None
    for name in CLASSES:
        own = [each for each in recordings if difficulty(each) == name]
        if own:
            tokens = sample_tokens(own)
            easiest = easiest or tokens
            found[name] = max(1.0, tokens / easiest)
        else:
            found[name] = max([1.0, *found.values()])
    return found
