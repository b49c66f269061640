"""What `faulty_server` serves: a model that answers deterministically, and a server that misbehaves when told to.

What it answers is `answer_text`, a function of the prompt and the seed (without a seed: of the number of such requests
before it), up to the first stop string. To a conversation that ends in what the assistant has said so far it answers
the rest, where it is told to go on or refuses to be told; else the whole. A directive in the prompt or in the model's
name makes it misbehave, such as `[[fault: status=503 times=2]]`; see `DIRECTIVES`.
"""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from dynasor.clock import WallClock

DIRECTIVES = """
times=N        only the first N requests of one (prompt, seed) are hit; else all are
status=N       answer with this status; with retry_after=S, retry_after_ms=N, should_retry=false, message=a_b, echo=1
               (the message repeats the Authorization header)
refuse=FIELD   answer 400 to a body that holds stream_options, max_tokens or continue_final_message, in the words of
               hosted servers
hangup=1       close the connection before the headers
garbage=1      answer 200 with a page of HTML
tokens=N       an answer of so many tokens
reasoning=N    the first N tokens are reasoning_content
usage=0        tell no token counts
slow_first=S   seconds before the first token
slow=S         seconds before every token
truncate=K     after K tokens end the answer in good order
disconnect=K   after K tokens close the connection
bad_json=K     after K tokens send broken JSON
error_event=K  after K tokens send an error; with code=N
hang=K         after K tokens send nothing more
linger=1       keep the connection open after a whole stream
"""
MODEL = "tiny"
STEPS = "Step by step:\n"
"""Behind it a prompt holds lines; the answer is one more while there are few of them."""

_DIRECTIVE = re.compile(r"\[\[fault:([^\]]*)\]\]")
_BREAKS = ("truncate", "disconnect", "bad_json", "error_event", "hang")
_LOGPROB = -0.5

Key = tuple[str, int | None]
"""Prompt and seed of a request. The prompt of a conversation is its contents, joined by newlines, without a turn that
the server goes on with."""


def answer_text(prompt: str, draw: int | None, padding: int | None = None) -> str:
    """Give the answer: some words, and a number that is the same for seven of ten draws of one prompt."""
    rng = random.Random(f"{prompt}|{draw}")
    usual = random.Random(prompt).randrange(100)
    asked, steps, written = prompt.partition(STEPS)
    if steps and written.count("\n") < 2 + len(asked) % 2:
        return f"so {rng.randrange(4)}\nand so on"
    number = usual if rng.random() < 0.7 else rng.randrange(100)
    return "so " * (rng.randrange(3, 30) if padding is None else padding) + f"The answer is {number}."


def directives(*texts: str) -> dict[str, str]:
    """Read the directives in some texts."""
    pairs = (pair.partition("=") for text in texts for found in _DIRECTIVE.findall(text) for pair in found.split())
    return {name: value for name, _, value in pairs}


@dataclass
class Ledger:
    """What the server has seen and done."""

    counts: Counter[Key] = field(default_factory=Counter)
    received: list[Key] = field(default_factory=list)
    answered: list[Key] = field(default_factory=list)
    active: int = 0
    aborted: int = 0  # the client left before it had all of its answer
    clients: set[object] = field(default_factory=set)  # addresses, one for each connection
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def stats(self) -> dict[str, int]:
        return {
            "requests": len(self.received),
            "answered": len(self.answered),
            "active": self.active,
            "aborted": self.aborted,
            "connections": len(self.clients),
        }


class _Asked(msgspec.Struct):
    """The body of a request, as far as this server minds it."""

    model: str = ""
    prompt: str = ""
    messages: list[dict[str, str]] = []
    stream: bool = False
    stream_options: dict[str, bool] = {}
    seed: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | int | None = None
    stop: list[str] = []
    continue_final_message: bool = False

    @property
    def begun(self) -> str:
        """What the assistant has said so far."""
        return self.messages[-1]["content"] if self.messages and self.messages[-1]["role"] == "assistant" else ""

    @property
    def question(self) -> str:
        """The prompt of its key."""
        turns = self.messages[:-1] if self.begun else self.messages
        return self.prompt or "\n".join(message["content"] for message in turns)


class _Reply:
    """One answer in the making."""

    def __init__(self, http: web.Request, asked: _Asked, fault: dict[str, str], text: str, delay_s: float) -> None:
        limit = asked.max_tokens or asked.max_completion_tokens or 1 << 30
        self.stopped_at = min((stop for stop in asked.stop if stop in text), key=text.index, default=None)
        words = re.findall(r"\s*\S+", text.partition(self.stopped_at)[0] if self.stopped_at else text)
        self.http, self.asked, self.fault, self.delay_s = http, asked, fault, delay_s
        self.chat = http.path.endswith("/chat/completions")
        self.tokens, self.finish = words[:limit], "length" if len(words) > limit else "stop"
        self.break_kind = next((kind for kind in _BREAKS if kind in fault), None)
        self.break_at = int(fault[self.break_kind]) if self.break_kind else -1
        self.own_doing = False

    async def send(self) -> web.StreamResponse:
        fault, asked = self.fault, self.asked
        if "hangup" in fault:
            await self.hang_up()
        if "status" in fault:
            return self.refusal(int(fault["status"]), fault.get("message", "told_to_fail").replace("_", " "))
        if fault.get("refuse") == "stream_options" and asked.stream_options:
            return self.refusal(400, "Unknown parameter: 'stream_options'.")
        if fault.get("refuse") == "max_tokens" and asked.max_tokens is not None:
            return self.refusal(
                400, "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            )
        if fault.get("refuse") == "continue_final_message" and asked.continue_final_message:
            return self.refusal(400, "Unrecognized request argument supplied: continue_final_message")
        if "garbage" in fault:
            return web.Response(text="<html>data without end</html>", content_type="text/html")
        return await (self.stream() if asked.stream else self.whole())

    def refusal(self, status: int, message: str) -> web.Response:
        if "echo" in self.fault:
            message += f" (you sent {self.http.headers.get('Authorization')})"
        names = {"retry_after": "Retry-After", "retry_after_ms": "retry-after-ms", "should_retry": "x-should-retry"}
        headers = {header: self.fault[name] for name, header in names.items() if name in self.fault}
        return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=headers)

    async def hang_up(self) -> None:
        self.own_doing = True
        if self.http.transport is not None:
            self.http.transport.close()
        await asyncio.Event().wait()  # until this very close cancels us

    async def stream(self) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(self.http)
        if self.chat:
            await response.write(_event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}))
        for index, token in enumerate(self.tokens):
            if index == self.break_at and await self.break_off(response):
                return response
            await self.pause(index)
            await response.write(_event({"choices": [self.choice(index, [token], "delta")]}))
        await response.write(_event({"choices": [self.choice(0, [], "delta") | self.ending()]}))
        if self.asked.stream_options.get("include_usage") and self.fault.get("usage") != "0":
            await response.write(_event({"choices": [], "usage": self.usage()}))
        await response.write(b"data: [DONE]\n\n")
        if "linger" in self.fault:
            await asyncio.Event().wait()
        await response.write_eof()
        return response

    async def break_off(self, response: web.StreamResponse) -> bool:
        if self.break_kind == "bad_json":
            await response.write(b'data: {"choices": [{"te\n\n')
        if self.break_kind == "error_event":
            await response.write(_event(self.error()))
        if self.break_kind == "disconnect":
            await self.hang_up()
        if self.break_kind == "hang":
            await asyncio.Event().wait()
        return True

    async def whole(self) -> web.StreamResponse:
        for index in range(len(self.tokens)):
            await self.pause(index)
        if self.break_kind == "hang":
            await asyncio.Event().wait()
        choice = self.choice(0, self.tokens, "message") | self.ending()
        usage = {} if self.fault.get("usage") == "0" else {"usage": self.usage()}
        body = msgspec.json.encode({"choices": [choice]} | usage)
        if self.break_kind == "error_event":
            body = msgspec.json.encode(self.error())
        if self.break_kind in ("truncate", "bad_json"):
            body = body[: len(body) // 2]
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(body)
        await response.prepare(self.http)
        if self.break_kind == "disconnect":
            await response.write(body[: len(body) // 2])
            await self.hang_up()
        await response.write_eof(body)
        return response

    async def pause(self, index: int) -> None:
        delay_s = float(self.fault.get("slow", self.delay_s))
        if index == 0:
            delay_s += float(self.fault.get("slow_first", 0))
        if delay_s:
            await WallClock().sleep(delay_s)

    def choice(self, index: int, tokens: list[str], part: str) -> dict[str, object]:
        thought_count = max(0, int(self.fault.get("reasoning", 0)) - index)
        thought, said = "".join(tokens[:thought_count]), "".join(tokens[thought_count:])
        fields: dict[str, object] = {"index": 0}
        if self.chat:
            fields[part] = {"content": said or None} | ({"reasoning_content": thought} if thought else {})
        else:
            fields["text"] = thought + said
        if self.asked.logprobs is not None:
            by_token = [{"token": token, "logprob": _LOGPROB} for token in tokens]
            fields["logprobs"] = {"content": by_token} if self.chat else {"token_logprobs": [_LOGPROB] * len(tokens)}
        return fields

    def ending(self) -> dict[str, object]:
        stopped_at = self.stopped_at if self.finish == "stop" else None
        return {"finish_reason": self.finish, "stop_reason": stopped_at}

    def usage(self) -> dict[str, int]:
        return {"prompt_tokens": 7, "completion_tokens": len(self.tokens)}

    def error(self) -> dict[str, object]:
        return {"error": {"message": "told to fail", "code": int(self.fault.get("code", "500"))}}


def _event(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


class FaultyApp:
    """The routes of the API, and GET /stats, GET /log, POST /reset.

    Besides, a base address of /serving/a,b/v1 has the models a and b, and /status/503/v1 answers its models so.
    """

    def __init__(self, token_delay_s: float) -> None:
        self.ledger = Ledger()
        self.token_delay_s = token_delay_s
        self.web = web.Application()
        self.web.router.add_get("/v1/models", self.models)
        self.web.router.add_get("/serving/{models}/v1/models", self.models)
        self.web.router.add_get("/status/{status}/v1/models", self.no_models)
        self.web.router.add_post("/v1/completions", self.complete)
        self.web.router.add_post("/v1/chat/completions", self.complete)
        self.web.router.add_get("/stats", self.stats)
        self.web.router.add_get("/log", self.log)
        self.web.router.add_post("/reset", self.reset)

    async def models(self, http: web.Request) -> web.Response:
        names = http.match_info.get("models", MODEL).split(",")
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    async def no_models(self, http: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "told to fail"}}, status=int(http.match_info["status"]))

    async def complete(self, http: web.Request) -> web.StreamResponse:
        asked = msgspec.json.decode(await http.read(), type=_Asked)
        prompt = asked.question
        key, ledger = (prompt, asked.seed), self.ledger
        earlier = ledger.counts[key]
        ledger.counts[key] += 1
        ledger.received.append(key)
        ledger.clients.add(http.transport and http.transport.get_extra_info("peername"))
        fault = directives(asked.model, prompt)
        if earlier >= int(fault.get("times", 1 << 30)):
            fault = {}
        draw = earlier if asked.seed is None else asked.seed
        text = answer_text(prompt, draw, int(fault["tokens"]) - 4 if "tokens" in fault else None)
        if asked.continue_final_message or fault.get("refuse") == "continue_final_message":
            text = text.removeprefix(asked.begun)
        return await self.track(_Reply(http, asked, fault, text, self.token_delay_s), key)

    async def track(self, reply: _Reply, key: Key) -> web.StreamResponse:
        ledger = self.ledger
        ledger.active += 1
        ledger.changed.set()
        try:
            response = await reply.send()
        except (asyncio.CancelledError, ConnectionError):
            ledger.aborted += not reply.own_doing
            raise
        else:
            if response.status == 200 and "garbage" not in reply.fault and reply.break_kind is None:
                ledger.answered.append(key)
            return response
        finally:
            ledger.active -= 1
            ledger.changed.set()

    async def stats(self, http: web.Request) -> web.Response:
        """The counters; with a query such as `?active=0&aborted=3`, as soon as they read so."""
        wanted = {name: int(value) for name, value in http.query.items()}
        while not wanted.items() <= self.ledger.stats().items():
            self.ledger.changed.clear()
            await self.ledger.changed.wait()
        return web.json_response(self.ledger.stats())

    async def log(self, _: web.Request) -> web.Response:
        """Every request that was received, every answer that was sent in full; in order, as (prompt, seed)."""
        body = msgspec.json.encode({"received": self.ledger.received, "answered": self.ledger.answered})
        return web.Response(body=body, content_type="application/json")

    async def reset(self, _: web.Request) -> web.Response:
        self.ledger.counts.clear()
        self.ledger.received.clear()
        self.ledger.answered.clear()
        self.ledger.clients.clear()
        self.ledger.aborted = 0
        return web.Response()
