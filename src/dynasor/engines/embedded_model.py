"""Which GGUF file answers, and how it is run. Settings only: nothing here reads the file or loads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dynasor.engines import builtin
from dynasor.engines.endpoint import Api
from dynasor.errors import UsageError

DEFAULT_SLOTS = 8
LONGEST_DEFAULT_CONTEXT = 4096  # tokens a slot: what a model was trained for may be many gigabytes of cache
CONTEXT_STEP = 256  # llama.cpp rounds the context of a slot up to a multiple of it

_RESERVED = frozenset({"prompt", "messages", "max_tokens", "n_predict", "n", "stream", "stream_options", "id_slot"})


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model that runs in this process.

    Attributes:
        file: a GGUF file, or `builtin` for the model that is shipped.
        api: "auto" puts conversations through the model's own chat template, and joins them to plain text where it has
            none; "completions" always joins them; "chat" puts text through the template too.
        context_tokens: prompt and answer of one request together; rounded up to a multiple of 256. None: what the model
            was trained for, and at most 4096.
        slots: requests answered at one time; others wait their turn. None: 8.
        threads: llama.cpp's own. They wait for each other by spinning, so that two on one free core are several times
            slower than one; give it no more than there are free cores.
        extra_body: fields of llama.cpp's own added to every request, such as `top_k`, over those of the request.
    """

    file: Path
    api: Api = "auto"
    context_tokens: int | None = None
    slots: int | None = None
    threads: int = 1
    extra_body: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        file = builtin.policy_gguf() if str(self.file) == "builtin" else Path(self.file)
        object.__setattr__(self, "file", file)
        if self.api not in ("chat", "completions", "auto"):
            raise UsageError(f"unknown api '{self.api}' (known: auto, chat, completions)")
        for name in ("context_tokens", "slots", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be 1 or more")
        if reserved := sorted(_RESERVED & self.extra_body.keys()):
            raise UsageError(f"extra_body may not set '{reserved[0]}': the engine itself does")

    @property
    def is_builtin(self) -> bool:
        """Whether it is the model that is shipped, which was trained on bare questions."""
        return self.file.parent == Path(builtin.__file__).with_name("builtin_model")

    @property
    def slot_count(self) -> int:
        """Requests answered at one time."""
        return self.slots or DEFAULT_SLOTS
