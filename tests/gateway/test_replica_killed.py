"""A backend that is killed under load: no request and no program of the other's clients is lost."""

import openai
import pytest

from support.faulty_server import FaultyServer
from support.gateways import gateway
from support.killed_replica import Load, lose_one

pytestmark = pytest.mark.slow
TOKENS = 24


async def test_a_backend_that_is_killed_under_load_loses_nothing_that_can_be_asked_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    prompt = f"How many? [[fault: tokens={TOKENS}]]"
    fields = {"model": "tiny", "messages": [{"role": "user", "content": prompt}], "max_tokens": 99}
    with FaultyServer(token_delay_s=0.02) as victim, FaultyServer(token_delay_s=0.02) as other:

        def kill() -> None:
            assert victim._process is not None
            victim._process.kill()
            victim._process.communicate()
            victim._process = None

        async with (
            gateway(victim.url, other.url) as here,
            openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client,
        ):
            told = await lose_one(here, Load(client, fields), kill, TOKENS)
    with capsys.disabled():
        print(told)  # noqa: T201 - figures to watch
