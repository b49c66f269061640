"""Where concrete classes are named: from the words of a user to a run that is ready to go.

Third parties add to the known programs, policies and orderings through the entry points `dynasor.programs` (subclasses
of `Program`), `dynasor.policies` and `dynasor.orderings` (dataclasses that are policies, and orderings).
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from dynasor.allocation.allocator import Allocator, InFlight, InRounds
from dynasor.allocation.baselines import Beta, Even, Length, Windows
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.curve import Curve
from dynasor.allocation.decided import Decided
from dynasor.allocation.gain_table import GainTable
from dynasor.allocation.hopeless import Hopeless
from dynasor.allocation.lasting import Lasting
from dynasor.allocation.progress import Policy, Progress, asked
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.calibration.policy_file import ENDING, read_policy_file
from dynasor.config import build, changed, describe, parse_specification
from dynasor.errors import UnknownName, UsageError
from dynasor.programs.best_of_n import BestOfN
from dynasor.programs.deepconf import DeepConf
from dynasor.programs.mcts import Mcts
from dynasor.programs.probed import ProbedCot, ProbedSelfConsistency
from dynasor.programs.program import Program, Setup
from dynasor.programs.rebase import Rebase
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.programs.weighted import WeightedSelfConsistency
from dynasor.scheduling import specification
from dynasor.scheduling.ordering import Ordering
from dynasor.scheduling.scheduler import Scheduler

ALGORITHMS: Mapping[str, type[Program]] = {
    "sc": SelfConsistency,
    "weighted-sc": WeightedSelfConsistency,
    "best-of-n": BestOfN,
    "rebase": Rebase,
    "mcts": Mcts,
    "probed-cot": ProbedCot,
    "probed-sc": ProbedSelfConsistency,
    "deepconf": DeepConf,
}

POLICIES: Mapping[str, Callable[..., Policy]] = {
    "even": Even,
    "length": Length,
    "static": StaticThreshold,
    "stepped": SteppedThreshold,
    "decided": Decided,
    "windows": Windows,
    "beta": Beta,
    "lasting": Lasting,
    "curve": Curve,
    "hopeless": Hopeless,
    "gain": GainTable,
}

CERTAIN = "static:threshold=0.7,detect_at=5"
DECIDED_OR_CERTAIN = f"decided+{CERTAIN}"


def make_policy(text: str) -> tuple[Policy, str]:
    """A policy, and its canonical specification; `a+b` follows both, and stops with the first that stops.

    A file that `dynasor calibrate` wrote (`policy.toml`) names one too.

    Raises:
        UsageError: where it names no known policy, or settings that cannot be.
    """
    if text.endswith(ENDING):
        text = read_policy_file(Path(text)).policy
    if not all(parse_specification(part).name for part in text.split("+")):
        raise UsageError(f"'{text}' lacks the name of a policy; write one, or several with + between them")
    known = POLICIES
    if any(parse_specification(part).name not in known for part in text.split("+")):
        known = {**_plugged("dynasor.policies"), **POLICIES}
    parts = [build("policy", part, known) for part in text.split("+")]
    names = [parse_specification(part).name for part in text.split("+")]
    canonical = "+".join(describe(name, part) for name, part in zip(names, parts, strict=True))
    return (parts[0] if len(parts) == 1 else FirstToStop(tuple(parts))), canonical


def make_ordering(text: str) -> Ordering:
    """The ordering that a specification such as `aging:patience=8+gang+sjf` names; `prefix` knows of no cache.

    Raises:
        UsageError: where it names no known ordering, or settings that cannot be.
    """
    return specification.make_ordering(text, lambda request: 0, _orderings(text))[0]


def make_scheduler(text: str) -> tuple[Scheduler, str]:
    """A scheduler with such an ordering, and the canonical specification.

    To `prefix`, the prompt of a program that has begun is cached.

    Raises:
        UsageError: where it names no known ordering, or settings that cannot be.
    """
    return specification.make_scheduler(text, _orderings(text))


def _orderings(text: str) -> dict[str, Any]:
    """Those of third parties, which are loaded where they are asked for only."""
    known = {*specification.ORDERINGS, *specification.SHORTHANDS}
    names = {parse_specification(part).name for part in text.split("+")}
    return {} if names <= known else _plugged("dynasor.orderings")


def check_promise(text: object, *, in_flight: bool) -> None:
    """Refuse a policy file whose promise is for grants that are spent in the other way.

    In flight short branches land first, so that votes stand otherwise when a policy looks at them.

    Raises:
        UsageError: with the mend.
    """
    if not isinstance(text, str) or not text.endswith(ENDING):
        return
    file = read_policy_file(Path(text))
    if file.promise.get("lossless") is not False or bool(file.provenance.get("in_flight")) == in_flight:
        return
    if in_flight:
        raise UsageError(
            f"{text} promises for grants that are waited for; leave out --in-flight, or make another file with"
            " dynasor calibrate --in-flight"
        )
    raise UsageError(f"{text} promises for runs in flight; add --in-flight, or calibrate without it")


def default_policy(algorithm: type[Program], cap: int) -> str:
    """Where the paper judges it, and at the cap at the latest; where a vote decides, at a decided one too."""
    policy = algorithm.default_policy.format(detect_at=min(algorithm.detect_at, cap))
    return f"decided+{policy}" if answers_by_majority(algorithm) else policy


def check_decided(policy: Policy, algorithm: type[Program], name: str) -> None:
    """Refuse to stop at a decided vote a program whose answer the vote does not decide.

    Raises:
        UsageError: naming the algorithm.
    """
    if any(isinstance(part, Decided) for part in _parts(policy)) and not answers_by_majority(algorithm):
        raise UsageError(f"decided proves a majority vote, and {name} does not answer by one; choose another policy")


def answers_by_majority(algorithm: type[Program]) -> bool:
    """Whether the vote decides its answer.

    A class that executes in a way of its own says so itself: what its base does is no promise of its own.
    """
    executes = next(kind for kind in algorithm.__mro__ if "execute" in vars(kind))
    says = next(kind for kind in algorithm.__mro__ if "answers_by_majority" in vars(kind))
    return algorithm.answers_by_majority and issubclass(says, executes)


def _parts(policy: Policy) -> Iterator[Policy]:
    if isinstance(policy, FirstToStop):
        for part in policy.policies:
            yield from _parts(part)
    else:
        yield policy


def check_cap(policy: Policy, canonical: str, cap: int) -> None:
    """Refuse a cap below the branches that the policy wants to see first.

    Raises:
        UsageError: naming both.
        ProgramError: if what a policy returns is not a grant.
    """
    if cap < 1:
        raise UsageError(f"the cap is {cap}; it must be at least 1")
    first = max(asked(part, Progress(knob=0, cap=cap)).knob for part in _parts(policy))
    if first > cap:
        raise UsageError(f"policy {canonical} first judges at {first} branches, and the cap is {cap}; raise the cap")


def make_algorithm(name: str | type[Program]) -> type[Program]:
    """The program class of a known name, or of `my_file.py:MyProgram`, or of `my.module:MyProgram`; or a class itself.

    A known name may be followed by settings: `rebase:temperature=0.5,rule=ceil`.

    Raises:
        UsageError: where there is none.
    """
    if not isinstance(name, str):
        return _checked(getattr(name, "__qualname__", repr(name)), name)
    base, colon, _ = name.partition(":")
    if base in ALGORITHMS:
        return _with_settings(name, ALGORITHMS[base]) if colon else ALGORITHMS[base]
    if colon:
        return _user_class(name)
    plugged = _plugged("dynasor.programs")
    if name not in plugged:
        raise UnknownName("algorithm", name, [*ALGORITHMS, *plugged])
    return _checked(name, plugged[name])


def _with_settings(text: str, algorithm: type[Program]) -> type[Program]:
    name = parse_specification(text).name
    if algorithm.settings is None:
        raise UsageError(f"algorithm {name} has no settings; write {name}")
    return algorithm.with_settings(changed("algorithm", text, algorithm.settings))


def algorithm_setting(name: str) -> str:
    """How an algorithm is named in a journal: a user's file with the digest of what is in it."""
    base = name.partition(":")[0]
    if base in ALGORITHMS and base != name:
        return describe(base, make_algorithm(name).settings)
    file = Path(name.rpartition(":")[0])
    if file.suffix != ".py":
        return name
    return f"{name} ({sha256(file.read_bytes()).hexdigest()[:12]})"


def session_maker(
    algorithm: type[Program], setup: Setup, policy: Policy, *, in_flight: bool
) -> Callable[[Any], Session]:
    """What makes the session of a problem."""
    allocator: Callable[[Policy], Allocator] = InFlight if in_flight else InRounds
    return session_of(algorithm, setup, lambda program: allocator(policy))


def session_of(
    algorithm: type[Program], setup: Setup, allocator: Callable[[Program], Allocator]
) -> Callable[[Any], Session]:
    """The same, where each program has an allocator of its own."""

    def made(problem: Any) -> Session:
        program = algorithm(problem, setup)
        return Session(program, allocator(program))

    return made


def _user_class(name: str) -> type[Program]:
    source, _, class_name = name.rpartition(":")
    module = _user_file(Path(source)) if source.endswith(".py") else _user_module(source)
    if not hasattr(module, class_name):
        raise UnknownName(f"class in {source}", class_name, _program_names(module))
    return _checked(name, getattr(module, class_name))


def _user_file(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"no such file: {path}; --program takes FILE.py:CLASS")
    name = f"dynasor_program_{path.stem}"  # never the name of a module that others import
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        specification.loader.exec_module(module)
    except (ImportError, SyntaxError) as fault:
        raise UsageError(f"cannot load {path}: {fault}") from fault
    return module


def _user_module(name: str) -> Any:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"'{name}' is not the name of a module; --program takes FILE.py:CLASS or MODULE:CLASS")
    try:
        return importlib.import_module(name)
    except (ImportError, SyntaxError) as fault:
        raise UsageError(f"cannot import {name}: {fault}; --program takes FILE.py:CLASS or MODULE:CLASS") from fault


def _program_names(module: Any) -> list[str]:
    found = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Program) and v is not Program]
    return found or ["no program"]


def _checked(name: str, found: Any) -> type[Program]:
    if not (isinstance(found, type) and issubclass(found, Program)):
        raise UsageError(f"{name} is not a Program; subclass dynasor.Program and implement execute()")
    if missing := sorted(found.__abstractmethods__):
        raise UsageError(f"{name} does not implement {missing[0]}()")
    return found


def _plugged(group: str) -> dict[str, Any]:
    return {point.name: point.load() for point in entry_points(group=group)}
