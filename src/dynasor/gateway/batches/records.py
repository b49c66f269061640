"""What is kept of files, batches and their items. Fields are the store's columns; instants are of the epoch."""

import re
from enum import StrEnum

import msgspec

BATCH, OUTPUT = "batch", "batch_output"
"""The purposes of files."""
FILE_ID, BATCH_ID = "file-", "batch_"
"""What ids begin with; behind it are 24 hexadecimal digits."""

_BEHIND = re.compile(r"[0-9a-f]{24}")


class Status(StrEnum):
    """How far a batch is, in OpenAI's words."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


ENDED = frozenset({Status.FAILED, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED})


class State(StrEnum):
    """What has become of an item."""

    PENDING = "pending"
    COMPLETED = "completed"  # answered without an error
    FAILED = "failed"  # answered by an error
    UNRUN = "unrun"  # never answered: its batch expired or was cancelled


class StoredFile(msgspec.Struct, frozen=True):
    """A file.

    Attributes:
        bytes: of its content.
        batch: whose lines it shows, where it is a batch's output; else its content is kept in pieces.
        part: which of these: "output" or "error".
    """

    id: str
    tenant: str
    filename: str
    purpose: str
    bytes: int
    created_at: int
    expires_at: int
    batch: str | None = None
    part: str | None = None


class Batch(msgspec.Struct, frozen=True):
    """A batch.

    Attributes:
        metadata, errors: as JSON.
        ending: the status in which it will end, once it is known.
        output_expires_s: seconds that its output is kept; None for the gateway's own.
        total, completed, failed, unrun: items.
        input_tokens, cached_tokens, output_tokens, reasoning_tokens: of all answers, as far as they tell.
    """

    id: str
    tenant: str
    endpoint: str
    input_file: str
    completion_window: str
    created_at: int
    expires_at: int
    status: str = Status.VALIDATING
    ending: str | None = None
    metadata: str | None = None
    errors: str | None = None
    model: str | None = None
    output_expires_s: int | None = None
    output_file: str | None = None
    error_file: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    unrun: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class Item(msgspec.Struct, frozen=True):
    """A request of a batch.

    Attributes:
        place: its line in the input, from 1 on.
        custom_id: as JSON.
        body: as it was sent.
    """

    batch: str
    place: int
    custom_id: str
    body: bytes

    @property
    def id(self) -> str:
        """Its name in the output."""
        return f"batch_req_{self.batch.removeprefix('batch_')}_{self.place}"


class Tokens(msgspec.Struct, frozen=True):
    """What an answer took."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0


class Result(msgspec.Struct, frozen=True):
    """What has become of an item; `line` is the one of the output or error file."""

    batch: str
    place: int
    state: State
    line: bytes
    tokens: Tokens = Tokens()


def is_id(id: str, prefix: str) -> bool:
    """Whether there can be such an id; what clients send may be anything, and not every database takes it."""
    return id.startswith(prefix) and _BEHIND.fullmatch(id.removeprefix(prefix)) is not None
