from dataclasses import dataclass
from pathlib import Path

import pytest

from dynasor.errors import UsageError
from dynasor.request import ProgramId
from dynasor.scheduling.aging import Aging
from dynasor.scheduling.app_fifo import AppFifo
from dynasor.scheduling.attained import LeastAttained
from dynasor.scheduling.deadline import LeastSlack
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.ordering import Ordering, Place
from dynasor.scheduling.prefix import Prefix
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.specification import ORDERINGS, SHORTHANDS, make_ordering, make_scheduler
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting


def ordering(text: str) -> tuple[Ordering, str]:
    return make_ordering(text, lambda request: 0)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("fcfs", Fcfs()),
        ("gang", Gang(AppFifo())),
        ("gang+sjf", Gang(Sjf())),
        (" gang + sjf ", Gang(Sjf())),
        ("aging:patience=2+gang+sjf", Aging(Gang(Sjf()), patience=2.0)),
        ("gang+aging:patience=3,tokens_per_s=50+sjf", Gang(Aging(Sjf(), patience=3.0, tokens_per_s=50.0))),
        ("dynasor", Aging(Sjf(), patience=8.0)),
        ("attained:quantum_tokens=64", LeastAttained(64)),
        ("slack:tokens_per_s=500", LeastSlack(500.0)),
    ],
)
def test_a_name_wraps_what_follows_it(text: str, made: Ordering) -> None:
    assert ordering(text)[0] == made
    canonical = ordering(text)[1]
    assert ordering(canonical) == (made, canonical), "the canonical specification names the same"


def test_every_ordering_has_a_name() -> None:
    for name in ORDERINGS:
        text = "slack:tokens_per_s=5" if name == "slack" else name
        assert ordering(text)[1].partition(":")[0] == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sfj", r"unknown ordering 'sfj'; did you mean 'sjf'\? \(known: aging, app-fifo, attained, .*dynasor, edf"),
        ("gang+", "unknown ordering ''"),
        ("gang+dynasor", "unknown ordering 'dynasor'"),
        ("sjf+gang", "sjf is a whole ordering and wraps no other; put it last, as sjf in gang\\+sjf"),
        ("prefix+sjf", "prefix is a whole ordering"),
        ("slack", "ordering slack needs tokens_per_s: slack:tokens_per_s=..."),
        ("aging:patience=-1", "patience is -1.0; it must be at least 0"),
        ("aging:patient=1", "unknown option of ordering aging 'patient'; did you mean 'patience'"),
        ("attained:quantum_tokens=x", "quantum_tokens in 'attained:quantum_tokens=x' must be a whole number"),
    ],
)
def test_what_is_not_an_ordering_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ordering(text)


@dataclass(frozen=True)
class Latest:
    """An ordering of somebody else's: the last that came is first."""

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        return Place((-request.rank,))


def test_an_ordering_of_a_third_party_joins_the_others() -> None:
    scheduler, canonical = make_scheduler("gang+latest", {"latest": Latest})
    assert canonical == "gang+latest"
    for id in "ab":
        scheduler.add(id, ProgramId(id), 0.0)
    first = scheduler.next(0.0)
    assert first is not None
    assert first.id == "b"


def test_in_front_of_an_engine_the_prompt_of_a_begun_program_is_cached() -> None:
    scheduler, canonical = make_scheduler("prefix:most=16")
    assert canonical == "prefix:most=16"
    for id, program in (("a0", "a"), ("b0", "b"), ("a1", "a"), ("b1", "b")):
        scheduler.add(id, ProgramId(program), 0.0)
    started = [request.id for _ in range(4) if (request := scheduler.next(0.0)) is not None]
    assert started == ["a0", "a1", "b0", "b1"]
    assert isinstance(make_ordering("prefix", lambda request: 0)[0], Prefix)


def test_every_ordering_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scheduling.md").read_text(encoding="utf-8")
    assert [name for name in ORDERINGS if f"| `{name}" not in page] == []
    assert f"`dynasor` is short for `{SHORTHANDS['dynasor'].replace('.0,tokens_per_s=1000.0', '')}`" in page
