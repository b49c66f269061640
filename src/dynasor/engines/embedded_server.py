"""llama.cpp in this process: loading a model, and asking it. The only place that knows the library.

Everything here blocks, and is called from threads that may wait. The library opens a port of the loopback interface,
which nobody needs here: it is closed to all who do not know a key that is drawn at random and told to nobody.
"""

import json
import re
import secrets
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dynasor.engines.openai_wire import one_line
from dynasor.errors import EngineError, MissingExtra, UsageError

_SILENT = -1
_ERRORS = 1
_BATCH_TOKENS = 256  # of a prompt at a time: in between, other requests get their turn, and this one can be cut
_REASONS = (r"error loading model: (?!llama_model_loader)(.+)", r" E (?:\w+: )?(.+)")  # the first is the more exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How a model is loaded.

    Attributes:
        context_tokens: of each slot.
        embeds: whether it gives the hidden state after the last token, and no text.
        http_key: opens the library's port to whoever knows it; empty: nobody does.
        http_threads: requests that the port answers at one time.
        http_name: what it calls the model there; empty: by its path.
    """

    file: Path
    slots: int
    context_tokens: int
    threads: int = 1
    embeds: bool = False
    http_key: str = field(default="", repr=False)
    http_threads: int = 1
    http_name: str = ""


class LlamaServer:
    """A model in memory, from `load` to `free`. It may be asked by many threads at once."""

    def __init__(self, loading: Loading) -> None:
        self._loading = loading
        self._loaded: dict[str, Any] = {}
        self.free = weakref.finalize(self, self._loaded.clear)  # at the latest when the process ends
        """Let go of the memory, once nobody asks any more."""

    def load(self) -> None:
        """Load the model.

        Raises:
            MissingExtra: the library is not installed.
            UsageError: llama.cpp refuses the model; tells its reason. Or the library is of another version.
        """
        library = _library()
        try:
            self._loaded["server"] = _started(library, self._loading, _SILENT)
        except RuntimeError as fault:
            reason = _reason(self._loading) or one_line(str(fault))
            raise UsageError(f"llama.cpp cannot load {self._loading.file}: {reason}") from fault
        except AttributeError as fault:
            raise UsageError(
                f"the installed xllamacpp is too old or too new ({fault}); pip install 'dynasor-serve[embedded]'"
            ) from fault

    @property
    def slot_count(self) -> int:
        """Requests that it answers at one time."""
        return self._loading.slots

    @property
    def address(self) -> str:
        """Where the library listens, such as `http://127.0.0.1:40001`; for whoever has `http_key`."""
        address: str = self._loaded["server"].listening_address
        return address

    def ask(self, fields: dict[str, Any], take: Callable[[Any], bool], *, chat: bool) -> None:
        """Have a request answered; `take` gets every chunk, and ends the answer by returning True.

        Raises:
            EngineError: llama.cpp cannot read the request.
        """
        server = self._loaded["server"]
        ask = server.handle_chat_completions if chat else server.handle_completions
        try:
            ask(fields, take)
        except (RuntimeError, ValueError, UnicodeError) as fault:
            raise EngineError(f"llama.cpp cannot read the request: {one_line(str(fault))}", retryable=False) from fault

    def embed(self, texts: Sequence[str]) -> Any:
        """The hidden states after the last tokens of some texts, as llama.cpp answers.

        Raises:
            EngineError: llama.cpp cannot read the request.
        """
        fields = {"input": list(texts), "embd_normalize": -1, "encoding_format": "float"}
        try:
            return self._loaded["server"].handle_embeddings(fields)
        except (RuntimeError, ValueError, UnicodeError) as fault:
            raise EngineError(f"llama.cpp cannot read the texts: {one_line(str(fault))}", retryable=False) from fault


def _library() -> Any:
    try:
        import xllamacpp  # noqa: PLC0415  (optional, and it takes 100 MB of memory maps)
    except ImportError as missing:
        raise MissingExtra("a GGUF model", "embedded") from missing
    return xllamacpp


def _started(library: Any, loading: Loading, verbosity: int) -> Any:
    server = library.Server(_parameters(library, loading, verbosity))
    server.handle_metrics()  # waits for its loop: freed before that has begun, the server never ends
    return server


def _parameters(library: Any, loading: Loading, verbosity: int) -> Any:
    parameters = library.CommonParams()
    parameters.model.path = str(loading.file)
    parameters.n_parallel = loading.slots
    parameters.n_ctx = loading.slots * loading.context_tokens
    parameters.n_batch = parameters.n_ubatch = max(_BATCH_TOKENS, loading.slots)
    parameters.cpuparams.n_threads = loading.threads
    parameters.cpuparams_batch.n_threads = loading.threads
    parameters.n_threads_http = loading.http_threads
    if loading.http_name:
        parameters.model_alias = {loading.http_name}
    parameters.cache_ram_mib = 0  # idle prompts kept in memory on top of the slots, up to 8 GiB unless told otherwise
    parameters.fit_params = False  # it would shorten the context without a word
    parameters.verbosity = verbosity
    parameters.api_keys = [loading.http_key or secrets.token_hex(32)]
    parameters.endpoint_metrics = True  # see _started
    parameters.endpoint_slots = False
    parameters.ui = False
    parameters.flash_attn_type = library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED  # it rounds to 16 bits
    if loading.embeds:
        parameters.embedding = True
        parameters.pooling_type = library.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
        parameters.embd_normalize = -1
    return parameters


def _reason(loading: Loading) -> str:
    """Why llama.cpp refuses a model.

    It tells its log alone, and that from a thread of its own, so it is asked once more in a process whose log is ours.
    """
    asked = subprocess.run(  # noqa: S603  (this interpreter, and words of ours)
        [sys.executable, "-c", f"from {__name__} import tell; tell()"],
        input=json.dumps(asdict(loading), default=str),
        capture_output=True,
        errors="replace",
        check=False,
    )
    found = (re.search(pattern, asked.stderr) for pattern in _REASONS)
    return next((one_line(match[1]) for match in found if match), "")


def tell() -> None:
    """Load the model that the standard input names, and log on the standard error what is wrong with it."""
    fields = json.load(sys.stdin)
    with suppress(RuntimeError):
        _started(_library(), Loading(**fields | {"file": Path(fields["file"])}), _ERRORS)
