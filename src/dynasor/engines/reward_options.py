"""Which reward model scores, as a user names it: `builtin`, `FILE.gguf` or `URL`, with options. It asks none.

`builtin`, `reward.gguf,threads=2`, `http://localhost:8001,api=pooling,model=NAME,squash=true`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from dynasor.config import parse_specification
from dynasor.engines import builtin
from dynasor.engines.embedded_file import read_gguf
from dynasor.engines.embedded_reward import RewardScorer
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.reward_http import HttpRewardModel
from dynasor.engines.reward_memory import RememberingRewardModel
from dynasor.engines.reward_queue import RewardModel
from dynasor.engines.reward_wire import RewardForm
from dynasor.errors import UnknownName, UsageError

_BUILTIN: Final = "builtin"
_TRUTH: Final = {"true": True, "false": False}
_FORM: Final = tuple(field.name for field in fields(RewardForm))
_OF_SERVERS: Final = ("end", "model", "api_key_variable", *_FORM)
_OF_FILES: Final = ("end", "context_tokens", "threads")


@dataclass(frozen=True, slots=True)
class RewardServer:
    """A reward model behind HTTP.

    Attributes:
        endpoint: the server.
        form: how it is asked.
        end: what stands at the end of a text that the policy has ended by itself.
    """

    endpoint: Endpoint
    form: RewardForm = RewardForm()  # noqa: RUF009  (frozen)
    end: str = ""

    @property
    def place(self) -> str:
        """Where it is: this changes no reward."""
        return self.endpoint.url

    @property
    def identity(self) -> str:
        """What tells it apart in a journal: all that may change a reward. Its model only where one is named."""
        told = {"model": self.endpoint.model, **{name: getattr(self.form, name) for name in _FORM}, "end": self.end}
        return ", ".join(f"{name}={value!r}" for name, value in told.items())

    def make(self) -> RewardModel:
        """The reward model; nothing is asked of it before its `check`.

        Raises:
            UsageError: the key cannot be sent.
        """
        return HttpRewardModel(self.endpoint, self.form, end=self.end)


@dataclass(frozen=True, slots=True)
class RewardFile:
    """A reward model that runs in this process.

    Attributes:
        file: a GGUF file that has its head beside it, or `builtin` for the model that is shipped.
        end: what stands at the end of a text that the policy has ended by itself. None: `<|end|>` for the model that
            is shipped, nothing for others.
        context_tokens: the longest text. None: what the model was trained for, and at most 4096.
        threads: llama.cpp's own; give it no more than there are free cores.

    Raises:
        EngineError: this installation lacks the model that should be shipped.
        UsageError: for a number that cannot be.
    """

    file: Path
    end: str | None = None
    context_tokens: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        shipped = str(self.file) == _BUILTIN
        object.__setattr__(self, "file", builtin.reward_gguf() if shipped else Path(self.file))
        if self.end is None:
            object.__setattr__(self, "end", builtin.REWARD_END if shipped else "")
        if self.threads < 1 or (self.context_tokens is not None and self.context_tokens < 1):
            raise UsageError("threads and context_tokens of a reward model must be 1 or more")

    @property
    def place(self) -> str:
        """Where it is: this changes no reward."""
        return builtin.place_of(self.file)

    @property
    def identity(self) -> str:
        """What tells it apart in a journal: the file, its head, and the end of a text.

        Raises:
            UsageError: there is no such file.
        """
        head = self.file.with_suffix(".json")
        digest = sha256(head.read_bytes()).hexdigest()[:12] if head.is_file() else "none"
        return f"{read_gguf(self.file).fingerprint()}, head={digest}, end={self.end!r}"

    def make(self) -> RewardModel:
        """The reward model; nothing is loaded before its `check`."""
        return RewardScorer(self.file, end=self.end or "", context_tokens=self.context_tokens, threads=self.threads)


RewardOptions = RewardServer | RewardFile


def make_reward_model(options: RewardOptions) -> RewardModel:
    """The reward model of some options; nothing is loaded or asked before its `check`.

    Raises:
        UsageError: the key of a server cannot be sent.
    """
    return RememberingRewardModel(options.make())


def parse_reward(text: str) -> RewardOptions:
    """Read `SOURCE` or `SOURCE,option=value,...`.

    Raises:
        UnknownName: for an option that this kind of source has not.
        UsageError: for a source or a value that cannot be.
        EngineError: this installation lacks the model that should be shipped.
    """
    source, _, rest = text.strip().partition(",")
    if source.startswith(("http://", "https://")):
        return _server(source, _given("server", rest, _OF_SERVERS))
    if source == _BUILTIN or source.endswith(".gguf"):
        return _file(source, _given("file", rest, _OF_FILES))
    raise UsageError(
        f"'{source}' is no reward model; give builtin, FILE.gguf, or the address of a server, such as"
        " http://localhost:8001"
    )


def _given(kind: str, rest: str, known: Collection[str]) -> Mapping[str, str]:
    given = parse_specification(f"{kind}:{rest}").options
    for name in given:
        if name not in known:
            raise UnknownName(f"option of a reward {kind}", name, known)
    return given


def _server(address: str, given: Mapping[str, str]) -> RewardServer:
    form: dict[str, Any] = {name: value for name, value in given.items() if name in _FORM}
    if "squash" in form:
        if form["squash"] not in _TRUTH:
            raise UsageError(f"squash is '{form['squash']}'; it must be true or false")
        form["squash"] = _TRUTH[form["squash"]]
    named: dict[str, Any] = {name: value for name, value in given.items() if name in ("model", "api_key_variable")}
    return RewardServer(Endpoint(address, stream=False, **named), RewardForm(**form), given.get("end", ""))


def _file(path: str, given: Mapping[str, str]) -> RewardFile:
    numbers = {name: _number(name, value) for name, value in given.items() if name != "end"}
    return RewardFile(Path(path), given.get("end"), **numbers)


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{name} is '{text}'; it must be a whole number, 1 or more")
    return int(text)
