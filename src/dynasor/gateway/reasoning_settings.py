"""What a gateway's own settings say of reasoning. Settings only: what one request asks is read in `reasoning_wish`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynasor.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningSettings:
    """The table `[reasoning]` of the file.

    Attributes:
        algorithm: where a request asks for reasoning and names none.
        policy: how much a program of that algorithm gets, as for `dynasor run --policy`, also a file that `dynasor
            calibrate` wrote; empty: the algorithm's own.
        cap: the resource cap, where a request says none.
        max_cap: the most that a request may ask for.
        max_tokens: of one branch, where a request says none.
        temperature: of branches, where a request says none.
        efforts: OpenAI's `reasoning_effort` to the resource cap; where an effort is not here, and by default none is,
            the field is passed on to the model.
        reward: a reward model, as for `dynasor run --reward`.
        ordering: of the requests of all programs, as for `dynasor run --ordering`.
        requests: of one tenant, at a backend or on their way to one at one time; further ones wait, in the order of the
            scheduler.
        programs: of one tenant that run at one time; further ones wait.
        listed: whether `/v1/models` lists NAME@ALGORITHM for each model and algorithm too.
    """

    algorithm: str = "sc"
    policy: str = ""
    cap: int = 20
    max_cap: int = 64
    max_tokens: int = 1024
    temperature: float = 0.7
    efforts: Mapping[str, int] = field(default_factory=dict)
    reward: str = ""
    ordering: str = "aging+gang+sjf"
    requests: int = 64
    programs: int = 64
    listed: bool = True

    def __post_init__(self) -> None:
        for name in ("cap", "max_cap", "max_tokens", "requests", "programs"):
            if getattr(self, name) < 1:
                raise UsageError(f"reasoning.{name} is {getattr(self, name)}; it must be 1 or more")
        if not 0 <= self.temperature <= 2:
            raise UsageError(f"reasoning.temperature is {self.temperature}; it must be 0 to 2")
        for name, cap in {
            "cap": self.cap,
            **{f"efforts.{effort}": cap for effort, cap in self.efforts.items()},
        }.items():
            if not 1 <= cap <= self.max_cap:
                raise UsageError(f"reasoning.{name} is {cap}; it must be 1 to reasoning.max_cap, {self.max_cap}")
