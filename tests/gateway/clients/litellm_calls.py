"""What LiteLLM's client gets from a server: run in .venv-clients with the server's address; prints JSON."""

import asyncio
import json
import sys
from typing import Any

import litellm

QUESTION = "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?"
PLAIN, REASONED = "openai/builtin", "openai/builtin@sc:cap=5"


def asked(base: str, model: str, **more: Any) -> dict[str, Any]:
    return {
        "model": model, "api_base": base, "api_key": "none", "max_tokens": 96, "seed": 7, "num_retries": 0,
        "messages": [{"role": "user", "content": QUESTION}], **more,
    }  # fmt: skip


def told(answer: Any) -> dict[str, Any]:
    choice = answer.choices[0]
    return {
        "text": choice.message.content, "finish": choice.finish_reason, "tokens": answer.usage.completion_tokens,
        "dynasor": answer.model_dump().get("dynasor"),
    }  # fmt: skip


def joined(chunks: list[Any]) -> dict[str, Any]:
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    finishes = [choice.finish_reason for choice in choices if choice.finish_reason]
    usages = [chunk.usage.completion_tokens for chunk in chunks if getattr(chunk, "usage", None)]
    return {
        "text": "".join(choice.delta.content or "" for choice in choices), "finish": finishes,
        "tokens": usages[-1] if usages else None,
    }  # fmt: skip


async def in_a_loop(base: str) -> dict[str, Any]:
    streams: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    whole = await asyncio.gather(
        *(litellm.acompletion(**asked(base, model, temperature=0)) for model in (PLAIN, REASONED))
    )
    stream = await litellm.acompletion(**asked(base, REASONED, **streams))
    return {
        "plain": told(whole[0]), "reasoned": told(whole[1]), "streamed": joined([chunk async for chunk in stream]),
    }  # fmt: skip


def refusal(base: str) -> dict[str, Any]:
    try:
        litellm.completion(**asked(base, "openai/builtin@nonsense"))
    except litellm.exceptions.NotFoundError as refused:
        return {"status": refused.status_code, "told": str(refused)}
    return {}


def main() -> None:
    base = sys.argv[1]
    streams: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    body = {"extra_body": {"dynasor": {"algorithm": "sc", "cap": 5, "policy": "even"}}}
    results = {
        "plain": told(litellm.completion(**asked(base, PLAIN, temperature=0))),
        "suffix": told(litellm.completion(**asked(base, REASONED))),
        "body": told(litellm.completion(**asked(base, PLAIN, **body))),
        "plain_streamed": joined(list(litellm.completion(**asked(base, PLAIN, temperature=0, **streams)))),
        "streamed": joined(list(litellm.completion(**asked(base, REASONED, **streams)))),
        "text": litellm.text_completion(
            model="text-completion-openai/builtin", api_base=base, api_key="none", prompt=QUESTION, max_tokens=8
        ).choices[0].text,
        "refusal": refusal(base),
        "loop": asyncio.run(in_a_loop(base)),
    }  # fmt: skip
    print(json.dumps(results))  # noqa: T201


main()
