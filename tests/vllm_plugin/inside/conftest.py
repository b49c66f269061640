"""For tests in the interpreter of vLLM; in the project's own they are skipped, and test_inside.py starts them there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dynasor

MODEL = Path(dynasor.__file__).parent / "engines" / "builtin_model" / "policy"


@pytest.fixture(scope="session")
def model() -> Path:
    """A folder of a model, whose sizes vLLM reads."""
    return MODEL


@pytest.fixture
def engine() -> Callable[..., Any]:
    """What makes vLLM's scheduler with the plug-in, without a model; options are those of `EngineOptions`."""
    from dynasor.bench.plugin_engine import EngineOptions, make_engine
    from dynasor.vllm_plugin.settings import Settings

    def made(ordering: str = "gang+sjf", **options: Any) -> Any:
        names = set(Settings.__struct_fields__) & set(options)
        settings = Settings(ordering=ordering, **{name: options.pop(name) for name in names})
        return make_engine(EngineOptions(settings=settings, **options), MODEL)

    return made
