"""What a failed request tells of the replica that it failed at.

A completion carries a fault as text; its words are those of `openai_server` and `openai_wire`, and of nobody else. The
tests make a real server say them.
"""

from enum import Enum, auto

from dynasor.request import Completion, Finish

_OVERLOAD = "429 "  # a refusal begins with its status
_TOO_LONG = "the answer took more than "


class Verdict(Enum):
    """What follows from the end of a request."""

    ANSWERED = auto()  # the replica works
    NEUTRAL = auto()  # it tells nothing of the replica, and the request has ended
    OVERLOADED = auto()  # the replica works and has too much to do: the request is issued again
    FAULTY = auto()  # the replica has failed, and the request is issued again


def verdict(completion: Completion) -> Verdict:
    """Judge a replica by how a request ended at it."""
    error = completion.error or ""
    if completion.finish.is_whole:
        return Verdict.ANSWERED
    if completion.finish is Finish.CANCELLED or not completion.retryable or error.startswith(_TOO_LONG):
        return Verdict.NEUTRAL  # what took the whole time would do so again
    return Verdict.OVERLOADED if error.startswith(_OVERLOAD) else Verdict.FAULTY
