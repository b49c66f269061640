"""An answer as a stream of events: how the program goes on, then what it came to. It decides nothing.

A chain of thought that is alone in its program is streamed as it grows, for it will be the answer. Where many branches
run, none is known to be the answer until they have voted: the stream tells how they stand, if asked to, and then the
answer. A stream ends in one `[DONE]`, or, where something goes wrong in its midst, in an event that tells so.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dynasor.gateway.answering import Head, Reply, calls_told, finish_reason, told_apart
from dynasor.gateway.exchange import EVENTS, ClientLeft, Exchange
from dynasor.gateway.reasoning_candidates import Candidate
from dynasor.gateway.refusals import Refused
from dynasor.programs.probed import Probed
from dynasor.programs.program import Program
from dynasor.request import Finish, RequestId
from dynasor.runtime.events import BranchGrew, BranchLanded
from dynasor.runtime.ticket import Ticket

_PIECE = 2048  # characters of one event
_DONE = b"data: [DONE]\n\n"


class Streaming:
    """One answer on its way to a client."""

    def __init__(self, exchange: Exchange, head: Head, progress: str, reading_s: float) -> None:
        """Nothing is sent yet.

        Args:
            exchange: the client's.
            head: of all chunks.
            progress: "none", "comments" or "events".
            reading_s: that the client may leave an event unread.
        """
        self._exchange, self._head, self._progress, self._reading_s = exchange, head, progress, reading_s
        self._thought, self._said = 0, 0  # characters of the first choice that were sent
        self._live_text = ""

    async def follow(self, ticket: Ticket, *, live: bool) -> None:
        """Tell of a program until it ends; `live`: also what its one chain says, as it does.

        Raises:
            Refused: the chain began anew, after some of it was sent.
        """
        chain: RequestId | None = None
        async for step in ticket.follow():
            if isinstance(step, BranchLanded) and step.completion.finish is Finish.FAILED:
                continue  # where all do, the client is told by a status
            await self._begin()
            if live and chain is None:
                chain = lone_chain(ticket.program)
            if isinstance(step, BranchGrew) and step.report.id == chain:
                await self._grow(step.report.text)
            elif self._progress != "none" and isinstance(step, BranchLanded):
                await self._send(self._told(step))

    async def end(self, reply: Reply, *, with_usage: bool) -> None:
        """Tell what it came to.

        Raises:
            Refused: the answer is not what was streamed of it.
        """
        await self._begin()
        for place, choice in enumerate(reply.choices):
            if place == 0 and not choice.text.startswith(self._live_text):
                raise _began_anew()
            for chunk in self._chunks(place, choice):
                await self._send(chunk)
        last = {} if self._head.is_chat else {"text": ""}
        for place, choice in enumerate(reply.choices):
            told: dict[str, Any] = {"index": place, **(last or {"delta": {}}), "logprobs": None}
            told["finish_reason"] = finish_reason(choice)
            more = {"dynasor": reply.told} if place == len(reply.choices) - 1 else {}
            await self._send(self._event([told], more))
        if with_usage:
            await self._send(self._event([], {"usage": reply.usage}))
        await self._exchange.end(_DONE)

    async def _begin(self) -> None:
        if self._exchange.begun:
            return
        await self._exchange.begin(200, EVENTS, streams=True)
        if self._head.is_chat:
            await self._send(self._delta(0, {"role": "assistant", "content": ""}))

    async def _send(self, event: bytes) -> None:
        """Send, unless the client reads no more.

        Raises:
            ClientLeft: it has read nothing for too long.
        """
        try:
            async with asyncio.timeout(self._reading_s):
                await self._exchange.send(event)
        except TimeoutError:
            self._exchange.abort()
            raise ClientLeft from None

    async def _grow(self, text: str) -> None:
        if not text.startswith(self._live_text):
            raise _began_anew()
        self._live_text = text
        for chunk in self._grown(0, text, ended=False):
            await self._send(chunk)

    def _chunks(self, place: int, choice: Candidate) -> Iterator[bytes]:
        if place:
            self._thought = self._said = 0
            if self._head.is_chat:
                yield self._delta(place, {"role": "assistant", "content": ""})
        yield from self._grown(place, choice.text, ended=True)
        for number, call in enumerate(calls_told(choice.calls, self._head)):
            yield self._delta(place, {"tool_calls": [{"index": number, **call}]})

    def _grown(self, place: int, text: str, *, ended: bool) -> Iterator[bytes]:
        """Chunks of what was not sent yet."""
        thought, said = told_apart(text, ended=ended) if self._head.is_chat else ("", text)
        for piece in _pieces(thought[self._thought :]):
            yield self._delta(place, {"reasoning_content": piece})
        for piece in _pieces(said[self._said :]):
            yield self._delta(place, {"content": piece})
        self._thought, self._said = len(thought), len(said)

    def _delta(self, place: int, delta: Mapping[str, Any]) -> bytes:
        said = {"delta": delta} if self._head.is_chat else {"text": delta["content"]}
        return self._event([{"index": place, **said, "logprobs": None, "finish_reason": None}], {})

    def _event(self, choices: list[dict[str, Any]], more: Mapping[str, Any]) -> bytes:
        return b"data: " + msgspec.json.encode(self._head.object(choices, chunk=True, **more)) + b"\n\n"

    def _told(self, step: BranchLanded) -> bytes:
        """How the program stands."""
        program = step.program
        progress, ballot = program.progress(), program.evidence.ballot
        if self._progress == "comments":
            told = (
                f": {progress.knob} of {progress.cap}, certaindex {progress.certaindex:.2f}, {progress.tokens} tokens"
            )
            return f"{told}\n\n".encode()
        stands = {
            "knob": progress.knob,
            "cap": progress.cap,
            "certaindex": progress.certaindex,
            "tokens": progress.tokens,
            "leader": ballot.majority,
            "leader_votes": progress.votes.leader,
            "votes": progress.votes.cast,
        }
        return self._event([], {"dynasor": {"progress": stands}})


def lone_chain(program: Program) -> RequestId | None:
    """The request of a chain that has no other beside it."""
    chains = program.chains if isinstance(program, Probed) else []
    return chains[0].id if len(chains) == 1 else None


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))


def _began_anew() -> Refused:
    told = "the backend lost the chain of thought and began it anew, after some of it had been sent; ask again"
    return Refused(502, told, "backend_broke_off", retry_after_s=1.0)
