"""Who may ask, and how much of the whole is theirs. Settings only: what was used is counted in `quota` and `turns`."""

import re
from dataclasses import dataclass

from dynasor.errors import UsageError

OPEN = "everybody"
"""The tenant of all requests where no keys are asked for."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A customer, a team, an application: whoever has a share.

    Attributes:
        name: as logs and metrics call it.
        key_hashes: SHA-256 of its keys, in hexadecimal; several, so that one can be replaced while both work.
        share: its weight when requests must wait: a tenant with 2 gets twice the tokens of one with 1.
        requests_per_minute: None for no limit.
        tokens_per_minute: of prompts and answers; None for no limit.
        concurrency: requests at the backends at one time; further ones wait.
        queue: requests that may wait; further ones are refused.
        max_branches: answers to one request; None for the limit of all.
    """

    name: str
    key_hashes: tuple[str, ...] = ()
    share: float = 1.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    queue: int = 1024
    max_branches: int | None = None

    @property
    def account(self) -> str:
        """Whose quotas and whose concurrency it is: its batches, which wait apart, have its name and more."""
        return self.name.partition("/")[0]

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise UsageError(f"'{self.name}' is no name of a tenant: 1 to 32 letters, digits, dots, hyphens, _")
        for digest in self.key_hashes:
            if _HASH.fullmatch(digest) is None:
                raise UsageError(
                    f"tenant {self.name}: '{digest[:12]}...' is no SHA-256 in hexadecimal; dynasor serve --new-key"
                    f" {self.name} makes a key and its hash"
                )
        for field in ("share", "requests_per_minute", "tokens_per_minute", "concurrency", "max_branches"):
            value = getattr(self, field)
            if value is not None and value <= 0:
                raise UsageError(f"tenant {self.name}: {field} is {value}; it must be more than 0")
        if self.queue < 0:
            raise UsageError(f"tenant {self.name}: queue is {self.queue}; it must be 0 or more")
