from pathlib import Path

import pytest

from dynasor.inside.counters import GAUGES, TOTALS, Counters
from dynasor.vllm_plugin.counters import Board, boards


def test_what_one_process_shows_another_reads(tmp_path: Path) -> None:
    folder = tmp_path / "boards"
    first, second = Board(folder, 0), Board(folder, 1)
    shown = Counters(programs=3, blocks_spared=2**40, bad_tags=1)
    first.show(shown)
    assert list(boards(folder)) == [("0", shown), ("1", Counters())]
    second.show(Counters(victims=9))
    assert dict(boards(folder))["1"].victims == 9


def test_an_engine_that_comes_back_begins_anew(tmp_path: Path) -> None:
    Board(tmp_path, 0).show(Counters(victims=9))
    Board(tmp_path, 0)
    assert list(boards(tmp_path)) == [("0", Counters())]


def test_without_an_engine_of_ours_there_is_nothing(tmp_path: Path) -> None:
    assert list(boards(tmp_path / "never made")) == []


def test_every_figure_is_told() -> None:
    assert {**GAUGES, **TOTALS}.keys() == set(Counters.__dataclass_fields__)


def test_others_may_not_look(tmp_path: Path) -> None:
    Board(tmp_path / "boards", 0)
    assert (tmp_path / "boards").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", [*GAUGES, *TOTALS])
def test_names_are_those_of_prometheus(name: str) -> None:
    assert name.isidentifier()
    assert not name.endswith("_total"), "its library adds this"
