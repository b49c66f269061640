"""The page: whole, strict, escaped, and in need of nothing else."""

import re
import sys
from pathlib import Path

import pytest

from dynasor.bench.comparison import Comparison, compare
from dynasor.bench.figures import tokens_saved_svg, tokens_to_accuracy_svg
from dynasor.bench.page import Figures, Made, page
from dynasor.bench.wording import shares
from dynasor.errors import MissingExtra
from support.documents import StrictHTML
from support.journals import SyntheticRun, finished
from support.runs import STATIC, both_at, loaded, written

MADE = Made("dynasor report runs/a 'runs/b c'", "1.2.3", "2026-01-02T03:04:05+00:00")
HOSTILE = "<script>alert('1')</script>&\"{{ 7 * 7 }}"

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return compare(loaded(tmp_path, both_at(10, 40)))


def test_it_is_one_html_document_with_all_tags_closed_in_order(comparison: Comparison) -> None:
    text = page(comparison, Figures(), MADE)
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    read = StrictHTML(text)
    assert [read.tags.count(tag) for tag in ("html", "head", "title", "body", "h1", "main")] == [1] * 6
    assert "4 runs over 200 problems" in read.text


def test_the_table_tells_every_figure(comparison: Comparison) -> None:
    read = StrictHTML(page(comparison, Figures(), MADE))
    row = comparison.rows[-1]
    assert row.accuracy is not None
    assert row.saved is not None
    assert row.gained is not None
    for figure in (
        f"{100 * row.accuracy.value:.1f} %",
        f"{100 * row.saved.value:.1f} %",
        f"[{100 * row.saved.low:.1f}, {100 * row.saved.high:.1f}]",
        f"[{100 * row.gained.low:+.1f}, {100 * row.gained.high:+.1f}]",
        f"{row.total_tokens:,.0f}",
        "baseline",
    ):
        assert figure in read.text


def test_it_tells_settings_stop_reasons_and_how_it_was_made(comparison: Comparison) -> None:
    read = StrictHTML(page(comparison, Figures(), MADE))
    assert read.tags.count("details") == 4
    for text in ("compared with", "even, cap 40", shares(comparison.rows[-1].stops), "algorithm", "How to read this"):
        assert text in read.text
    for text in (MADE.command, f"Dynasor {MADE.version}", MADE.date):
        assert text in read.text


@pytest.mark.slow
def test_it_forbids_scripts_and_requests_and_makes_none(comparison: Comparison) -> None:
    figures = Figures(tokens_to_accuracy_svg(comparison), tokens_saved_svg(comparison))
    text = page(comparison, figures, MADE)
    read = StrictHTML(text)
    assert "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'" in read.values(
        "content"
    )
    assert not {"script", "link", "img", "iframe", "object", "a", "base"} & set(read.tags)
    assert not [value for value in read.values("xlink:href") + read.values("href") if not value.startswith("#")]
    assert not re.search(r"@import|url\((?!#)|\son\w+=", text)
    outside = {value for _, name, value in read.attributes if "://" in value and not name.startswith("xmlns")}
    assert outside == set()


@pytest.mark.slow
def test_figures_stand_in_the_page_as_they_are_and_share_no_id(comparison: Comparison) -> None:
    figures = Figures(tokens_to_accuracy_svg(comparison), tokens_saved_svg(comparison))
    read = StrictHTML(page(comparison, figures, MADE))
    assert read.tags.count("svg") == read.tags.count("figure") == 2
    ids = read.values("id")
    assert len(ids) == len(set(ids)) > 20


def test_a_figure_that_is_not_there_leaves_no_gap(comparison: Comparison) -> None:
    read = StrictHTML(page(comparison, Figures(tokens_saved="<svg></svg>"), MADE))
    assert read.tags.count("figure") == 1
    assert StrictHTML(page(comparison, Figures(), MADE)).tags.count("figure") == 0


def test_whatever_a_journal_or_a_shell_says_is_text(tmp_path: Path) -> None:
    settings = {"model": HOSTILE, HOSTILE: HOSTILE}
    runs = [
        written(tmp_path / "a", [finished("p", stopped_by=HOSTILE)], policy=HOSTILE, **settings),
        written(tmp_path / "b", [finished("p")]),
    ]
    read = StrictHTML(page(compare(runs), Figures(), Made(HOSTILE, HOSTILE, HOSTILE)))
    assert "script" not in read.tags
    assert read.text.count(HOSTILE) >= 6


def test_both_colour_schemes_are_served_and_figures_stay_on_white(comparison: Comparison) -> None:
    text = page(comparison, Figures(), MADE)
    assert "prefers-color-scheme: dark" in text
    assert "background: #fff" in text
    assert 'name="color-scheme" content="light dark"' in text


def test_seeds_and_directories_of_an_averaged_row_are_listed(tmp_path: Path) -> None:
    comparison = compare(loaded(tmp_path, [SyntheticRun(STATIC, seed=seed, count=5) for seed in (4, 2)]))
    read = StrictHTML(page(comparison, Figures(), MADE))
    assert "4, 2" in read.text
    assert str(tmp_path / "run1") in read.text
    assert "2 runs over 5 problems" in read.text


def test_only_a_live_run_has_a_latency(tmp_path: Path) -> None:
    records = [finished("p", latency_s=12.5)]
    live, replay = written(tmp_path / "a", records), written(tmp_path / "b", records, policy=STATIC, trace="svamp")
    words = " ".join(StrictHTML(page(compare([live, replay]), Figures(), MADE)).text.split())
    assert words.count("mean latency12.5 s") == 1
    assert words.count("mean latency–") == 1


def test_without_right_answers_there_is_a_dash_and_a_word_on_it(tmp_path: Path) -> None:
    comparison = compare([written(tmp_path / "a", [finished("p", correct=None)])])
    read = StrictHTML(page(comparison, Figures(), MADE))
    assert "No right answers are known" in read.text
    assert "1 run over 1 problem\n" in read.text
    assert "nan" not in read.text


def test_without_jinja2_the_missing_extra_is_named(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=r"writing a page needs an extra: pip install 'dynasor-serve\[report\]'"):
        page(comparison, Figures(), MADE)
