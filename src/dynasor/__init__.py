"""Dynasor schedules inference-time compute for LLM reasoning programs by how certain their answers are.

>>> import dynasor
>>> tally = dynasor.run(trace="svamp", policy="static:threshold=0.7,detect_at=5", cap=30)  # doctest: +SKIP

The names below are loaded when they are first used: importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dynasor.allocation.progress import Grant, Progress, stop
    from dynasor.certaindex.entropy import entropy_certaindex
    from dynasor.datasets.problem import Problem
    from dynasor.engines.embedded_model import EmbeddedModel
    from dynasor.engines.endpoint import Endpoint
    from dynasor.errors import DynasorError, EngineError, ProgramError, UsageError
    from dynasor.launch.launch import arun, run
    from dynasor.launch.options import RunOptions
    from dynasor.programs.best_of_n import BestOfN
    from dynasor.programs.program import Program, Setup
    from dynasor.programs.prompt import PromptTemplate
    from dynasor.programs.self_consistency import SelfConsistency
    from dynasor.programs.steps import Execution
    from dynasor.request import Completion, Message, Request, Sampling

_HOMES = {
    "BestOfN": "programs.best_of_n",
    "Completion": "request",
    "DynasorError": "errors",
    "EmbeddedModel": "engines.embedded_model",
    "Endpoint": "engines.endpoint",
    "EngineError": "errors",
    "Execution": "programs.steps",
    "Grant": "allocation.progress",
    "Message": "request",
    "Problem": "datasets.problem",
    "Program": "programs.program",
    "ProgramError": "errors",
    "Progress": "allocation.progress",
    "PromptTemplate": "programs.prompt",
    "Request": "request",
    "RunOptions": "launch.options",
    "Sampling": "request",
    "SelfConsistency": "programs.self_consistency",
    "Setup": "programs.program",
    "UsageError": "errors",
    "arun": "launch.launch",
    "entropy_certaindex": "certaindex.entropy",
    "run": "launch.launch",
    "stop": "allocation.progress",
}

__all__ = [
    "BestOfN",
    "Completion",
    "DynasorError",
    "EmbeddedModel",
    "Endpoint",
    "EngineError",
    "Execution",
    "Grant",
    "Message",
    "Problem",
    "Program",
    "ProgramError",
    "Progress",
    "PromptTemplate",
    "Request",
    "RunOptions",
    "Sampling",
    "SelfConsistency",
    "Setup",
    "UsageError",
    "__version__",
    "arun",
    "entropy_certaindex",
    "run",
    "stop",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dynasor' has no attribute '{name}'")
    return getattr(import_module(f"dynasor.{_HOMES[name]}"), name)
