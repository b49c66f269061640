"""What a gateway's own settings say of batches. Settings only: the store is opened by whoever serves."""

import re
from dataclasses import dataclass

from dynasor.errors import UsageError

SQLITE, POSTGRES = "sqlite:", ("postgresql://", "postgres://")
_WINDOW = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """The table `[batches]` of the file.

    Attributes:
        store: where files and batches are kept: "sqlite:FILE" or "postgresql://..."; empty: there are no batches.
        concurrency: requests of batches under way at one time, in this gateway; never more than half of its places.
        share: the weight of a tenant's batches when requests must wait, against its other requests.
        keep_days: after which files, and batches that have ended, are deleted.
        file_bytes, file_requests: the most of one file.
        tenant_bytes: the most of all files of a tenant.
        tenant_batches: of a tenant that have not ended.
        lease_s: after so much silence of a gateway, another one takes over what it was at.
    """

    store: str = ""
    concurrency: int = 32
    share: float = 0.1
    keep_days: int = 30
    file_bytes: int = 200 << 20
    file_requests: int = 50_000
    tenant_bytes: int = 20 << 30
    tenant_batches: int = 100
    lease_s: float = 15.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name != "store" and value <= 0:
                raise UsageError(f"batches.{name} is {value}; it must be more than 0")
        if self.share > 1:
            raise UsageError(f"batches.share is {self.share}; it must be 1 at most: batches yield to other requests")
        if self.store and not self.store.startswith(POSTGRES) and not self.store.removeprefix(SQLITE).strip():
            raise UsageError("the batch store has no file; name one, such as sqlite:/var/lib/dynasor/batches.sqlite")
        if self.store and not self.store.startswith((SQLITE, *POSTGRES)):
            kind = self.store.partition(":")[0][:40]
            raise UsageError(
                f"the batch store is a '{kind}'; it must be sqlite:FILE or postgresql://USER@HOST/DATABASE"
            )

    @property
    def keep_s(self) -> int:
        """`keep_days` in seconds."""
        return self.keep_days * _UNIT_S["d"]


def window_s(told: str) -> int | None:
    """The seconds of a completion window such as "24h", "90m" or "7d"; None where it is none."""
    found = _WINDOW.fullmatch(told)
    return int(found[1]) * _UNIT_S[found[2]] if found else None
