"""What a gateway's settings say of its dashboard."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardSettings:
    """The table `[dashboard]` of the file.

    Attributes:
        enabled: whether there is one.
        texts: whether it shows prompts and answers, to those whose key asked; if not, none are kept for it.
    """

    enabled: bool = True
    texts: bool = True
