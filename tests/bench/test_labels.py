"""Which runs are one row, and what it is called."""

import pytest

from dynasor.bench.groups import grouped
from dynasor.journal.records import Setting
from support.runs import STATIC, bare


class TestLabels:
    @pytest.mark.parametrize(
        ("first", "second", "labels"),
        [
            ({}, {"policy": STATIC}, ["even", STATIC]),
            ({}, {"policy": STATIC, "in_flight": True}, ["even", f"{STATIC} in flight"]),
            ({"cap": 40}, {"cap": 10}, ["even, cap 10", "even, cap 40"]),
            ({"model": "small"}, {"model": "large"}, ["even, small", "even, large"]),
            ({"algorithm": "sc"}, {"algorithm": "best-of-n"}, ["even, sc", "even, best-of-n"]),
            ({"trace": "svamp"}, {"problems": "gsm8k"}, ["even, svamp", "even, gsm8k"]),
            ({"model": "m", "problems": "exam"}, {"policy": "beta", "trace": "runs/even"}, ["even", "beta"]),
            ({"temperature": 0.7}, {"temperature": 1.0}, ["even, temperature=0.7", "even, temperature=1.0"]),
            ({"stop": "a\nb"}, {"stop": "x" * 50}, ["even, stop=a b", f"even, stop={'x' * 23}…"]),
            (
                {"policy": STATIC, "signal": "entropy"},
                {"policy": STATIC, "signal": "length"},
                [f"{STATIC}, signal entropy", f"{STATIC}, signal length"],
            ),
            ({"seed": 1}, {"seed": 2}, ["even × 2 seeds"]),
            ({"seed": 1}, {"seed": 1}, ["even (a)", "even (b)"]),
            ({"seed": None}, {"seed": None}, ["even (a)", "even (b)"]),
            ({"policy": None}, {"policy": STATIC}, ["a", STATIC]),
        ],
    )
    def test_a_label_says_what_differs_and_nothing_else(
        self, first: dict[str, Setting], second: dict[str, Setting], labels: list[str]
    ) -> None:
        assert [group.label for group in grouped([bare("a", first), bare("b", second)])] == labels

    def test_directories_of_one_name_are_told_apart_by_their_paths(self) -> None:
        assert [group.label for group in grouped([bare("x/run", {}), bare("y/run", {})])] == [
            "even (x/run)",
            "even (y/run)",
        ]

    def test_a_directory_named_twice_counts_once(self) -> None:
        assert len(grouped([bare("a", {}), bare("./a", {}), bare("b/../a", {})])) == 1

    def test_even_comes_first_and_each_policy_by_its_caps(self) -> None:
        settings = [(STATIC, 20), ("even", 20), ("beta", 5), (STATIC, 5), ("even", 5)]
        runs = [bare(f"r{place}", {"policy": policy, "cap": cap}) for place, (policy, cap) in enumerate(settings)]
        assert [group.label for group in grouped(runs)] == [
            "even, cap 5", "even, cap 20", f"{STATIC}, cap 5", f"{STATIC}, cap 20", "beta, cap 5",
        ]  # fmt: skip
