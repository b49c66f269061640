"""What is told of the gateway itself: whether it lives, whether it takes requests, which models and programs it has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dynasor.clock import Clock
from dynasor.gateway.backends import Backends
from dynasor.gateway.client_programs import ClientProgram, ClientPrograms
from dynasor.gateway.draining import Draining
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.identity import checked
from dynasor.gateway.keys import Doorkeeper
from dynasor.gateway.refusals import Refused

PROGRAMS = "/v1/programs/"
MODELS = "/v1/models"
_CLOSE = "/close"


class _Made(msgspec.Struct):
    """What is told of a model's age."""

    created: Any = 0


class Standing:
    """The routes."""

    def __init__(
        self, backends: Backends, programs: ClientPrograms, door: Doorkeeper, draining: Draining, clock: Clock,
        suffixes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """`suffixes` are the algorithms that each model is listed with, too."""
        self._backends, self._programs, self._door = backends, programs, door
        self._draining, self._clock, self._suffixes = draining, clock, suffixes

    async def health(self, exchange: Exchange) -> None:
        """`GET /health`: this process answers."""
        await exchange.answer(200, b'{"status":"ok"}')

    async def ready(self, exchange: Exchange) -> None:
        """`GET /ready`: it takes requests, and a backend answers them."""
        self._draining.refuse()
        if not self._backends.is_ready:
            raise Refused(503, "no backend answers", "backend_down", retry_after_s=1.0)
        await exchange.answer(200, b'{"status":"ready"}')

    async def models(self, exchange: Exchange) -> None:
        """`GET /v1/models`: those of all backends, then each with the algorithms that it may be asked by."""
        self._door.tenant(exchange.headers)
        models = await self._known_models()
        models |= {name: model for name, model in self._suffixed(models) if name not in models}
        await exchange.answer(200, msgspec.json.encode({"object": "list", "data": list(models.values())}))

    async def model(self, exchange: Exchange) -> None:
        """`GET /v1/models/NAME`."""
        self._door.tenant(exchange.headers)
        name = exchange.path.removeprefix(f"{MODELS}/")
        models = await self._known_models()
        model = models.get(name) or dict(self._suffixed(models)).get(name)
        if model is None:
            raise Refused(404, f"there is no model '{name[:200]}' here; see {MODELS}", "model_not_found", "model")
        await exchange.answer(200, bytes(model))

    async def program(self, exchange: Exchange) -> None:
        """`GET /v1/programs/ID`: what a client-driven program has had so far."""
        program = self._find(exchange, exchange.path.removeprefix(PROGRAMS))
        await exchange.answer(200, self._told(program))

    async def close(self, exchange: Exchange) -> None:
        """`POST /v1/programs/ID/close`: no more requests of it are to come."""
        if not exchange.path.endswith(_CLOSE):
            raise Refused(404, f"a program is closed by POST {PROGRAMS}ID{_CLOSE}", "not_found")
        program = self._find(exchange, exchange.path.removeprefix(PROGRAMS).removesuffix(_CLOSE))
        self._programs.close(program, self._clock.now())
        await exchange.answer(200, self._told(program))

    async def _known_models(self) -> dict[str, msgspec.Raw]:
        if not self._backends.models():
            await self._backends.examine()
        return self._backends.models()

    def _suffixed(self, models: Mapping[str, msgspec.Raw]) -> Iterator[tuple[str, msgspec.Raw]]:
        """What programs make of the models; of one that another gateway lists so, nothing more is made."""
        for name, model in models.items():
            if name.rpartition("@")[0] in models:
                continue
            made = msgspec.json.decode(model, type=_Made)
            for suffix in self._suffixes:
                told = {"id": f"{name}@{suffix}", "object": "model", "created": made.created, "owned_by": "dynasor"}
                yield told["id"], msgspec.Raw(msgspec.json.encode({**told, "parent": name}))

    def _find(self, exchange: Exchange, id: str) -> ClientProgram:
        tenant = self._door.tenant(exchange.headers)
        program = self._programs.find(tenant, checked("the program's id", id))
        if program is None:
            raise Refused(404, f"there is no open program '{id}'", "program_not_found")
        return program

    def _told(self, program: ClientProgram) -> bytes:
        told = {
            "id": program.id.partition("/")[2],
            "object": "program",
            "status": "closing"
            if program.is_closing and program.in_flight
            else "closed"
            if program.is_closing
            else "open",
            "in_flight": program.in_flight,
            "requests": program.requests,
            "tokens": program.tokens,
        }
        return msgspec.json.encode(told)
