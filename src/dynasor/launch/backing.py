"""What answers a gateway, from its settings: backends at their addresses, or a model that is loaded in this process."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dynasor.engines.embedded_file import read_gguf
from dynasor.engines.embedded_memory import available_bytes, check_memory
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.embedded_server import LlamaServer, Loading
from dynasor.engines.endpoint import Endpoint
from dynasor.errors import UsageError
from dynasor.gateway.settings import BackendSettings, GatewaySettings
from dynasor.gateway.upstream import Upstream

_SPARE_THREADS = 4  # of the embedded server: for health checks beside requests


@dataclass(frozen=True, slots=True)
class Backing:
    """What answers.

    Attributes:
        upstreams: by name.
        model: what answers in this process; it is to be freed.
        most: requests that it is asked at one time.
    """

    upstreams: list[tuple[str, Upstream]]
    model: LlamaServer | None
    most: int

    @property
    def slots(self) -> int | None:
        """Of the model in this process."""
        return self.model.slot_count if self.model else None

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """At which programs ask, and their keys."""
        return [(upstream.url, upstream.key) for _, upstream in self.upstreams]


def make_backing(settings: GatewaySettings, environ: Mapping[str, str], model: EmbeddedModel | None) -> Backing:
    """Join what answers; a model, by default the built-in one, is loaded where there is no backend.

    Raises:
        MissingExtra: what the model needs is not installed.
        UsageError: a backend or the model cannot be.
    """
    if addresses := addresses_of(settings, environ):
        upstreams = [(url, Upstream(url, key, settings.timeouts)) for url, key in addresses]
        return Backing(upstreams, None, settings.running * len(upstreams))
    key = secrets.token_hex(32)
    llama, name = _loaded(model or EmbeddedModel(Path("builtin")), key)
    upstream = Upstream(f"{llama.address}/v1", key, settings.timeouts)
    return Backing([(name, upstream)], llama, min(settings.running, llama.slot_count))


def addresses_of(settings: GatewaySettings, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The addresses of the backends, and their keys.

    Raises:
        UsageError: an address or a key cannot be.
    """
    urls = [Endpoint(backend.url).url for backend in settings.backends]
    if twice := next((url for url in urls if urls.count(url) > 1), None):
        raise UsageError(f"the backend {twice} is given twice; give each of them once")
    return list(zip(urls, [_key(backend, environ) for backend in settings.backends], strict=True))


def _key(backend: BackendSettings, environ: Mapping[str, str]) -> str:
    key = environ.get(backend.api_key_variable, "")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"${backend.api_key_variable} holds a character that no HTTP header may hold")
    return key


def _loaded(model: EmbeddedModel, key: str) -> tuple[LlamaServer, str]:
    """A model in this process, which answers at a port of the loopback interface that only this key opens."""
    file = read_gguf(model.file)
    slots, context = model.slot_count, file.context_tokens(model)
    check_memory(file, slots, context, available_bytes())
    name = "builtin" if model.is_builtin else model.file.stem
    loading = Loading(
        file=file.path,
        slots=slots,
        context_tokens=context,
        threads=model.threads,
        http_key=key,
        http_threads=2 * slots + _SPARE_THREADS,
        http_name=name,
    )
    llama = LlamaServer(loading)
    llama.load()
    return llama, name
