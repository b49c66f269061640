"""Two servers of one model behind a gateway, one of which is killed under load: what such a pair must bring about."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from dynasor.clock import WallClock
from support.gateways import GatewayHere

PLAIN, STREAMS, PROGRAMS, CAP = 24, 12, 6, 8
LIMIT_S = 600.0  # generous: other work may share the machine


@dataclass
class Stream:
    """One plain stream: how much its client has, and how it ended."""

    chunks: int = 0
    finished: str | None = None
    error: str | None = None


@dataclass
class Load:
    """What is asked, at one time.

    Attributes:
        fields: of every request; the seed is added.
    """

    client: openai.AsyncOpenAI
    fields: Mapping[str, Any]
    streams: list[Stream] = field(default_factory=lambda: [Stream() for _ in range(STREAMS)])

    def asked(self, seed: int, **body: Any) -> dict[str, Any]:
        """The fields of a request."""
        return {**self.fields, "seed": seed, "extra_body": {**self.fields.get("extra_body", {}), **body}}

    async def plain(self, seed: int) -> ChatCompletion:
        answer: ChatCompletion = await self.client.chat.completions.create(**self.asked(seed))
        return answer

    async def program(self, seed: int) -> dict[str, Any]:
        """What it tells of itself."""
        told = {"algorithm": "sc", "cap": CAP, "policy": "even"}
        answer = await self.client.chat.completions.create(**self.asked(seed, dynasor=told))
        found: dict[str, Any] = answer.model_dump()["dynasor"]
        return found

    async def read(self, stream: Stream, seed: int) -> None:
        try:
            async for chunk in await self.client.chat.completions.create(**self.asked(seed), stream=True):
                stream.chunks += 1
                stream.finished = chunk.choices[0].finish_reason if chunk.choices else stream.finished
        except openai.APIError as error:
            stream.error = str(error)


async def lose_one(here: GatewayHere, load: Load, kill: Callable[[], None], tokens: int) -> str:
    """Kill the first backend once it has enough to do; every answer has so many tokens. Returns a line of figures."""
    whole = [asyncio.ensure_future(load.plain(seed)) for seed in range(PLAIN)]
    programs = [asyncio.ensure_future(load.program(100 + seed)) for seed in range(PROGRAMS)]
    streamed = [asyncio.ensure_future(load.read(stream, 200 + seed)) for seed, stream in enumerate(load.streams)]
    backend = here.serving.backends.all[0]
    async with asyncio.timeout(LIMIT_S):
        while backend.in_flight < PLAIN // 2 or not all(stream.chunks for stream in load.streams[: STREAMS // 2]):
            await WallClock().sleep(0.005)
        at_victim, had_begun = backend.in_flight, sum(stream.chunks > 0 for stream in load.streams)
        kill()
        landed = await asyncio.gather(*whole, return_exceptions=True)
        ended = await asyncio.gather(*programs)
        await asyncio.gather(*streamed)

    answers = [answer for answer in landed if isinstance(answer, ChatCompletion)]
    assert len(answers) == PLAIN, (
        [answer for answer in landed if isinstance(answer, BaseException)],
        [(each.name, each.fault, each.failure_count, each.breaker.state) for each in here.serving.backends.all],
    )
    assert [answer.usage.completion_tokens for answer in answers if answer.usage] == [tokens] * PLAIN, "none failed"
    assert [(told["branches"], told["failed"]) for told in ended] == [(CAP, 0)] * PROGRAMS, "no program is lost"
    broken = [stream for stream in load.streams if stream.error is not None]
    assert all(stream.chunks for stream in broken), "what had not begun was asked again"
    assert all("broke off" in (stream.error or "") for stream in broken), "and what had was told so"
    assert all(stream.finished for stream in load.streams if stream not in broken)
    assert len(broken) < STREAMS, "the other backend's went on"
    turns = here.serving.admission.turns
    assert (turns.running_count, turns.waiting_count) == (0, 0)
    return (
        f"{at_victim} requests that were passed on were at the killed one; of {had_begun} streams that had begun,"
        f" {len(broken)} were told that theirs broke off"
    )
