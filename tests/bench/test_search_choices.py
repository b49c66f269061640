import pytest

from dynasor.bench.search_choices import ChoiceRow, counts_of, finished_node, in_orders, study_choices
from dynasor.datasets.problem import Problem
from dynasor.datasets.search_traces import RecordedPath, SearchRecording, SearchTrace
from dynasor.programs.choosing import path_score


def path(answer: str | None, *rewards: float, tokens: int = 10) -> RecordedPath:
    return RecordedPath(answer, tokens, rewards)


def recording(id: str, *samples: RecordedPath, found: tuple[RecordedPath, ...] = ()) -> SearchRecording:
    return SearchRecording(Problem(id, "?", verdicts={"x": 1.0, "y": 0.0}), samples, found)


def figures(rows: list[ChoiceRow], paths: str, count: int) -> dict[tuple[str, str], float]:
    chosen = [row for row in rows if (row.paths, row.count) == (paths, count)]
    return {(row.choice, row.score): row.accuracy.value for row in chosen}


def test_a_path_becomes_a_node_with_its_rewards() -> None:
    node = finished_node(3, path("x", 0.5, 0.8))
    assert (node.index, node.answer, node.depth) == (3, "x", 2)
    assert path_score("product")(node) == pytest.approx(0.4)


def test_rewards_overrule_votes() -> None:
    few = recording("few", path("y", 0.1), path("y", 0.2), path("x", 0.9), path(None, 1.0))
    rows = study_choices(SearchTrace("t", (few, few)), orders=3)
    assert figures(rows, "samples", 4) == {("votes", ""): 0.0, ("weighted", "last"): 1.0, ("best", "last"): 1.0}
    lead = next(row for row in rows if (row.count, row.choice) == (4, "best"))
    assert (lead.difference.value, lead.tokens, lead.orders, lead.problems) == (1.0, 40.0, 3, 2)


def test_the_score_of_a_path_matters_where_it_has_steps() -> None:
    steps = recording("steps", path("x", 0.9, 0.6), path("y", 0.2, 0.7), path("y", 0.1, 0.1))
    found = figures(study_choices(SearchTrace("t", (steps,)), orders=1), "samples", 3)
    assert (found["best", "last"], found["best", "mean"], found["best", "minimum"]) == (0.0, 1.0, 1.0)
    assert len(found) == 9


def test_counts_double_up_to_what_every_problem_has() -> None:
    seven, five = recording("a", *[path("x", 1.0)] * 7), recording("b", *[path("x", 1.0)] * 5)
    assert counts_of(SearchTrace("t", (seven, five))) == [1, 2, 4, 5]
    assert counts_of(SearchTrace("t", (seven, recording("none")))) == []


def test_orders_are_seeded() -> None:
    many = recording("many", *(path(str(n), 1.0) for n in range(9)))
    first, second = in_orders(many, 2)
    assert first != second
    assert {path.answer for path in first} == {path.answer for path in second} == set("012345678")
    assert in_orders(many, 2) == [first, second]


def test_a_search_that_came_to_one_path_is_held_against_the_vote_of_all_samples() -> None:
    both = recording("both", path("y", 0.5), path("y", 0.5), found=(path("x", 0.9, tokens=90),))
    (row,) = [row for row in study_choices(SearchTrace("t", (both, both)), 2) if row.paths == "search"]
    assert (row.count, row.choice, row.accuracy.value, row.difference.value, row.tokens) == (1, "votes", 1.0, 1.0, 90)


def test_the_paths_of_one_search_share_its_tokens() -> None:
    found = (path("y", 0.1, tokens=90), path("y", 0.2, tokens=90), path("x", 0.9, tokens=90))
    rows = study_choices(SearchTrace("t", (recording("only", found=found),)), 2)
    assert figures(rows, "search", 3) == {("votes", ""): 0.0, ("weighted", "last"): 1.0, ("best", "last"): 1.0}
    assert {row.tokens for row in rows} == {90.0}
