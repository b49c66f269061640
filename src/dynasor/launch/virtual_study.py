"""The simulator against vLLM's own scheduler in virtual time: which arms are served, on which recordings."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec.structs import replace

from dynasor.bench.virtual_rows import VirtualArm, VirtualRow
from dynasor.bench.vllm_inside import rows_inside
from dynasor.datasets.lines import COMPRESSIONS, numbered_lines
from dynasor.engines.builtin import policy_folder

ACCELERATOR = "a100-llama-8b"
_ALL = 1 << 20  # requests let through to an engine that orders them itself
_PLACES = 64
_STATIC = "static:threshold=0.7,detect_at=5"
_SERVED = (
    ("fcfs", "even", False, False, _ALL),
    ("fcfs", _STATIC, False, False, _ALL),
    ("dynasor", _STATIC, False, False, _PLACES),
    ("dynasor", _STATIC, True, False, _PLACES),
    ("dynasor", _STATIC, False, True, _ALL),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualPlan:
    """What is served.

    Attributes:
        traces: recordings, as for `dynasor simulate`, each with its number of programs.
        loads: arrivals over what a burst shows to be possible.
        room: where memory is short, the longest requests that it holds at one time.
    """

    traces: tuple[tuple[str, int], ...]
    loads: tuple[float, ...] = (0.7, 0.95)
    room: int = 10
    cap: int = 20
    seed: int = 0

    def arms(self, trace: str, programs: int, file: str) -> Iterator[VirtualArm]:
        """Of one recording."""
        for load, room, served in product(self.loads, (None, self.room), _SERVED):
            ordering, policy, in_flight, inside, front = served
            yield VirtualArm(
                trace=file,
                name=name_of(trace),
                accelerator=ACCELERATOR,
                ordering=ordering,
                policy=policy,
                in_flight=in_flight,
                inside=inside,
                front=front,
                places=_PLACES,
                load=load,
                room=room,
                programs=programs,
                cap=self.cap,
                seed=self.seed,
            )

    @property
    def size(self) -> int:
        """Arms in all."""
        return len(self.traces) * len(self.loads) * 2 * len(_SERVED)


def name_of(trace: str) -> str:
    """A recording's name, such as `r1-distill-llama-8b__math100_v1`."""
    return Path(trace).name.partition(".")[0]


def run_virtual(plan: VirtualPlan) -> Iterator[VirtualRow]:
    """Every arm, as it is done.

    Raises:
        UsageError: there is no vLLM, or a recording cannot be read.
        EngineError: serving failed.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        for trace, programs in plan.traces:
            arms = plan.arms(trace, programs, _uncompressed(trace, folder))
            arguments = [str(policy_folder()), *map(_told, arms)]
            for row in rows_inside("dynasor.launch.virtual_inside", arguments, VirtualRow):
                yield replace(row, arm=replace(row.arm, trace=trace))


def by_arm(rows: Iterable[VirtualRow]) -> dict[tuple[str, bool], list[VirtualRow]]:
    """Rows by recording, and whether memory was short."""
    found: dict[tuple[str, bool], list[VirtualRow]] = {}
    for row in rows:
        found.setdefault((row.arm.name, row.arm.room is not None), []).append(row)
    return found


def _told(arm: VirtualArm) -> str:
    return msgspec.json.encode(arm).decode()


def _uncompressed(trace: str, folder: Path) -> str:
    """A file that the interpreter of vLLM can read without further libraries."""
    path = Path(trace)
    if path.suffix not in COMPRESSIONS:
        return str(path.absolute()) if path.exists() else trace
    plain = folder / path.with_suffix("").name
    with plain.open("wb") as file:
        file.writelines(line for _, line in numbered_lines(path))
    return str(plain)
