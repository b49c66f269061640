"""For tests in the interpreter of SGLang; in the project's own they are skipped: test_inside.py starts them there."""

from array import array
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

if find_spec("sglang") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def published() -> Iterator[None]:
    """SGLang's configuration, as the process of a scheduler has it."""
    from sglang.srt.runtime_context import SpawnRanks, publish, reset_context
    from sglang.srt.server_args import ServerArgs

    reset_context()
    publish(ServerArgs(model_path="none", device="cpu"), role="test", ranks=SpawnRanks(world_rank=0))
    yield
    reset_context()


@pytest.fixture
def req() -> Callable[..., Any]:
    """What makes a request of SGLang's."""
    from sglang.srt.managers.schedule_batch import Req
    from sglang.srt.sampling.sampling_params import SamplingParams

    def made(rid: str, prompt: int = 4, **told: Any) -> Any:
        return Req(
            rid=rid,
            origin_input_text="",
            origin_input_ids=array("q", range(prompt)),
            sampling_params=SamplingParams(max_new_tokens=64, custom_params=told.pop("custom_params", None)),
            **told,
        )

    return made
