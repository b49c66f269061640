"""The records of a journal. Each is one line of JSON with its kind and the version of its layout."""

import msgspec

from dynasor.request import Completion, RequestId

VERSION = 1

Setting = str | int | float | bool | None


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="run"):
    """The first record: what was asked for.

    Attributes:
        settings: whatever changes an answer; a run is resumed only under the same.
        circumstances: whatever does not: date, package version, machine, endpoint, the command.
    """

    v: int = VERSION
    settings: dict[str, Setting]
    circumstances: dict[str, Setting]


class Landed(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="landed"):
    """A request has ended; `answer` is what its program read from it, None for none."""

    v: int = VERSION
    answer: str | None
    completion: Completion


class Grew(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="grew"):
    """A request that runs has generated more: its text is what it was up to `at`, and `added` behind that.

    Attributes:
        id: the request.
        at: the place, in characters; 0 where the server began anew.
        tokens: all that it has generated so far.
        lowest_logprob: as in a report.
    """

    v: int = VERSION
    id: RequestId
    at: int
    added: str
    tokens: int
    lowest_logprob: float | None = None


class Shadowed(msgspec.Struct, frozen=True, kw_only=True):
    """What a program would have come to, did it not measure its policy by running to its cap; fields as there."""

    answer: str | None
    correct: float | None
    certaindex: float
    knob: int
    tokens: int
    stopped_by: str


class ProgramFinished(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="finished"):
    """A program has answered; what it cost, and how right it was where that is known.

    Attributes:
        correct: in [0, 1]; None where there is no right answer to judge by.
        even_tokens: what even allocation at the same cap takes: recorded, or estimated from this program's branches.
        even_recorded: which of the two.
        unknown_count: branches whose tokens the server did not tell; counted at the mean of the others.
        latency_s: wall seconds from the program's start to its answer; of a recording, those of the replay.
        verdicts: the judge of a recorded problem, so that a replay of this run is judged alike.
        shadow: of a shadow program: what its policy would have made of it.
        policy: what it ran under where that was not the run's policy: even, after an alarm.
    """

    v: int = VERSION
    program: str
    question: str
    gold: str | None
    answer: str | None
    correct: float | None
    certaindex: float
    knob: int
    tokens: int
    stopped_by: str
    even_tokens: float
    even_recorded: bool = False
    cut_tokens: int = 0
    cut_count: int = 0
    failed_count: int = 0
    unknown_count: int = 0
    latency_s: float = 0.0
    verdicts: dict[str, float] | None = None
    shadow: Shadowed | None = None
    policy: str | None = None


class Alarmed(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="alarm"):
    """The promise of the run's policy no longer holds: from here on, programs that start get even allocation.

    Attributes:
        reason: what was seen, in a few words.
        mean: of what was seen, a share of 1.
        most: what that mean was promised, or expected, not to exceed.
        programs: how many had been looked at by then, in the problems' order.
        shadows: of these, shadow programs.
        running: programs that had started and not ended; they keep the policy.
    """

    v: int = VERSION
    reason: str
    mean: float
    most: float
    programs: int
    shadows: int
    running: tuple[str, ...]


Record = RunStarted | Landed | Grew | ProgramFinished | Alarmed
