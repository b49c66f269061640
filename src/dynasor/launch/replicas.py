"""Several servers of one model, as a run asks for them."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from dynasor.engines.attempts import Attempts
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.replicas import ReplicatedEngine
from dynasor.errors import UsageError

OWN_RETRIES = 1
"""Of a replica's engine: enough for a connection that was closed as it was used, and for one `Retry-After`."""
_FIRST_WAIT_S = 0.25


def several(given: object) -> tuple[Endpoint, ...]:
    """Servers, however they are given: one or many, as addresses (which may be joined by commas) or as endpoints.

    Raises:
        UsageError: one of them is no server's address, or is given twice.
    """
    servers = tuple(_each(given))
    urls = [server.url for server in servers]
    if twice := next((url for url in urls if urls.count(url) > 1), None):
        raise UsageError(f"the server {twice} is given twice; give each of them once")
    return servers


def replicated(
    *endpoints: Endpoint, environ: Mapping[str, str] = os.environ, attempts: Attempts | None = None
) -> ReplicatedEngine:
    """The engine over several servers. Each gets fewer retries of its own, for there are others to ask.

    Args:
        endpoints: the servers.
        environ: where their keys are looked up.
        attempts: is told of each attempt at a request.

    Raises:
        UsageError: they would answer differently.
    """
    first = endpoints[0]
    for other in endpoints[1:]:
        for name in ("model", "api", "extra_body", "stream", "priority"):
            if getattr(other, name) != getattr(first, name):
                raise UsageError(
                    f"replicas must be asked alike: {name} is {getattr(first, name)!r} for {first.url}, and"
                    f" {getattr(other, name)!r} for {other.url}"
                )
    return ReplicatedEngine(
        [(each.url, OpenAIEngine(_impatient(each), environ=environ, attempts=attempts)) for each in endpoints]
    )


def _each(given: object) -> Iterable[Endpoint]:
    match given:
        case None:
            pass
        case Endpoint():
            yield given
        case str():
            yield from (Endpoint(url.strip()) for url in given.split(",") if url.strip() or "," not in given)
        case list() | tuple():
            for one in given:
                yield from _each(one)
        case _:
            raise UsageError(f"the endpoint is {given!r}; give a server's address, an Endpoint, or a list of them")


def _impatient(endpoint: Endpoint) -> Endpoint:
    retries = endpoint.retries
    few = replace(retries, retries=min(retries.retries, OWN_RETRIES), base_s=min(retries.base_s, _FIRST_WAIT_S))
    return replace(endpoint, retries=few)
