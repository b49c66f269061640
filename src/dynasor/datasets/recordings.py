"""Recordings: what a model has answered before, sample by sample, as the replay engine and the benchmarks read it.

Knows the form of a trace, one JSON object per question; knows nothing of what a recording is used for.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from dynasor.datasets.files import bare_name, ending_of, file_digest, found
from dynasor.datasets.problem import Problem, Recording
from dynasor.datasets.rows import Ids, number_text
from dynasor.datasets.run_recordings import RunRecordings
from dynasor.datasets.tables import json_objects
from dynasor.errors import BadRow, UnknownName, UsageError
from dynasor.request import Sample

ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")


class _TracedSample(msgspec.Struct):
    """A sample as a trace writes it; what is not named here is not decoded."""

    answer: Any
    tokens: Annotated[int, msgspec.Meta(ge=0)]
    correct: bool
    logprob: float | None = None
    reward: float | None = None


class _TracedQuestion(msgspec.Struct):
    """A line of a trace. A search log has `steps` in place of `samples`."""

    id: str | int
    question: str | None = None
    gold: str | int | float | None = None
    model: str | None = None
    samples: Annotated[list[_TracedSample], msgspec.Meta(min_length=1)] | None = None
    steps: Any = None


_DECODER = msgspec.json.Decoder(_TracedQuestion)


class RecordingSet:
    """The recordings of one trace, read anew, line by line, at every iteration; only the ids are held.

    Iterating raises `BadRow` for a line that cannot be read or whose id has been met before, and `UsageError` where
    there is no recording at all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return bare_name(self._path)

    def __iter__(self) -> Iterator[Recording]:
        ids = Ids(str(self._path))
        line = 0
        for line, question in json_objects(self._path, _DECODER):
            recording = self._recording(line, question)
            ids.admit(recording.problem.id, line)
            yield recording
        if not line:
            raise UsageError(f"{self._path} holds no recordings")

    def _recording(self, line: int, question: _TracedQuestion) -> Recording:
        if question.samples is None and question.steps is not None:
            raise UsageError(f"{self._path} is a search log, not a set of samples; there is nothing to draw from")
        if question.samples is None:
            raise BadRow(self._path, line, "no 'samples': a recording is a list of samples for each question")
        return Recording(_problem(question, question.samples), tuple(map(_sample, question.samples)))

    def digest(self) -> str:
        """Hexadecimal SHA-256 of the file's bytes, as they are."""
        return file_digest(self._path)


def _problem(question: _TracedQuestion, samples: Iterable[_TracedSample]) -> Problem:
    """The id of a question that several models answered is made unique by the model's name."""
    own = str(question.id)
    return Problem(
        id=f"{question.model}/{own}" if question.model else own,
        question=question.question or "",
        gold=_text(question.gold),
        verdicts=_verdicts(samples),
    )


def _sample(traced: _TracedSample) -> Sample:
    return Sample(_text(traced.answer), traced.tokens, mean_logprob=traced.logprob, reward=traced.reward)


def _verdicts(samples: Iterable[_TracedSample]) -> dict[str, float]:
    """For each answer the share of its samples that were judged right. No answer at all has no verdict."""
    judged: defaultdict[str, list[bool]] = defaultdict(list)
    for sample in samples:
        answer = _text(sample.answer)
        if answer is not None:
            judged[answer].append(sample.correct)
    return {answer: sum(verdicts) / len(verdicts) for answer, verdicts in judged.items()}


def _text(value: Any) -> str | None:
    """An answer as text; a number as people write it."""
    if value is None or isinstance(value, str):
        return value
    return number_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def read_recordings(source: str) -> RecordingSet | RunRecordings:
    """Open a recording; it is read when it is iterated.

    Args:
        source: a trace, `.jsonl`, `.jsonl.gz` or `.jsonl.zst`, with one question per line:
            `{"id", "question"?, "gold"?, "model"?,
            "samples": [{"answer", "tokens", "correct", "logprob"?, "reward"?}]}`; the directory of an earlier run;
            or the name of one that ships with the package, `svamp`.

    Raises `UsageError` where there is no such file or it is not a trace.
    """
    if Path(source).is_dir():
        return RunRecordings(Path(source))
    path = found(source)
    if ending_of(path) not in ENDINGS:
        raise UnknownName("trace format", ending_of(path) or path.name, ENDINGS)
    return RecordingSet(path)
