"""The figures: what is on them, that they are files one can open, and that they leave no trace in matplotlib."""

import struct
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dynasor.bench.comparison import Comparison, compare
from dynasor.bench.figures import tokens_saved_svg, tokens_to_accuracy_svg, write_png
from dynasor.bench.plots import draw_tokens_saved, draw_tokens_to_accuracy
from dynasor.errors import MissingExtra
from support.journals import SyntheticRun, finished
from support.runs import STATIC, both_at, loaded, written

pytestmark = pytest.mark.slow


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return compare(loaded(tmp_path, both_at(5, 10, 40)))


def test_a_policy_is_a_line_over_its_caps(comparison: Comparison) -> None:
    figure = Figure()
    draw_tokens_to_accuracy(figure, comparison)
    (axes,) = figure.axes
    assert len(axes.containers) == 2
    assert np.asarray(axes.lines[0].get_xydata()).tolist() == [
        [row.tokens.value, 100 * row.accuracy.value] for row in comparison.rows[:3] if row.accuracy
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["even", STATIC]
    assert [text.get_text() for text in axes.texts][:6] == ["5", "10", "40", "5", "10", "40"]


def test_error_bars_reach_from_bound_to_bound(comparison: Comparison) -> None:
    figure = Figure()
    draw_tokens_to_accuracy(figure, comparison)
    _, _, (across, along) = figure.axes[0].containers[0]
    first = comparison.rows[0]
    assert first.accuracy is not None
    assert [x for x, _ in across.get_segments()[0]] == pytest.approx([first.tokens.low, first.tokens.high])
    assert [y for _, y in along.get_segments()[0]] == pytest.approx(
        [100 * first.accuracy.low, 100 * first.accuracy.high]
    )


def test_caps_are_not_told_where_there_is_only_one(tmp_path: Path) -> None:
    figure = Figure()
    draw_tokens_to_accuracy(figure, compare(loaded(tmp_path, both_at(10))))
    assert [text.get_text() for text in figure.axes[0].texts] == ["200 problems; error bars: 95 % intervals"]


def test_a_bar_for_each_run_that_is_compared(comparison: Comparison) -> None:
    figure = Figure()
    draw_tokens_saved(figure, comparison)
    (axes,) = figure.axes
    rows = comparison.rows[3:]
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == [
        100 * row.saved.value for row in rows if row.saved
    ]
    assert [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()] == [
        f"static:threshold=0.7,detect_at=5, cap {cap}" for cap in (5, 10, 40)
    ]


@pytest.mark.parametrize("seeds", [1, 12])
def test_the_picture_is_1200_by_750(tmp_path: Path, seeds: int) -> None:
    """However many policies there are."""
    runs = [SyntheticRun(f"beta:confidence=0.{70 + n}", count=20, effort=0.5) for n in range(seeds)]
    write_png(compare(loaded(tmp_path, runs)), tmp_path / "a.png")
    header = (tmp_path / "a.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:24]) == (1200, 750)


def test_without_right_answers_the_picture_shows_what_is_saved(tmp_path: Path) -> None:
    records = [finished(p, correct=None, tokens=30) for p in "pqr"]
    comparison = compare([written(tmp_path / "a", records, policy=STATIC)])
    assert tokens_to_accuracy_svg(comparison) == ""
    assert tokens_saved_svg(comparison).startswith("<svg ")
    write_png(comparison, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_a_single_even_run_saves_nothing_to_be_drawn(tmp_path: Path) -> None:
    assert tokens_saved_svg(compare(loaded(tmp_path, [SyntheticRun("even", count=5)]))) == ""


def test_one_problem_and_a_loss_can_be_drawn(tmp_path: Path) -> None:
    comparison = compare([written(tmp_path / "a", [finished("p", tokens=3000)], policy="$x_1$_[b]界")])
    ET.fromstring(tokens_saved_svg(comparison))
    ET.fromstring(tokens_to_accuracy_svg(comparison))


def test_the_elements_are_well_formed_share_no_id_and_bring_no_style_or_date(comparison: Comparison) -> None:
    figures = [tokens_to_accuracy_svg(comparison), tokens_saved_svg(comparison)]
    ids = [element.get("id") for text in figures for element in ET.fromstring(text).iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 20
    for text in figures:
        assert "<style" not in text
        assert "<metadata" not in text


def test_every_reference_within_a_figure_leads_somewhere(comparison: Comparison) -> None:
    root = ET.fromstring(tokens_to_accuracy_svg(comparison))
    ids = {element.get("id") for element in root.iter()}
    links = [value for e in root.iter() for name, value in e.attrib.items() if name.endswith("href")]
    clips = [e.attrib["clip-path"][5:-1] for e in root.iter() if "clip-path" in e.attrib]
    assert links
    assert clips
    assert {link[1:] for link in links} | set(clips) <= ids


def test_the_same_comparison_gives_the_same_bytes(comparison: Comparison, tmp_path: Path) -> None:
    assert tokens_to_accuracy_svg(comparison) == tokens_to_accuracy_svg(comparison)
    for name in ("a.png", "b.png"):
        write_png(comparison, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_settings_of_matplotlib_are_neither_used_nor_changed(comparison: Comparison) -> None:
    before = tokens_saved_svg(comparison)
    with mpl.rc_context({"font.size": 40.0, "axes.facecolor": "black"}):
        settings = dict(mpl.rcParams)
        assert tokens_saved_svg(comparison) == before
        assert dict(mpl.rcParams) == settings


def test_without_matplotlib_the_missing_extra_is_named(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"drawing figures needs an extra: pip install 'dynasor-serve\[report\]'"):
        tokens_saved_svg(comparison)
