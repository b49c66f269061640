import json
import os
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.answers.equivalence import MAX_LENGTH, normal_form
from dynasor.answers.latex import tidy

SHARED_DATA = Path(os.environ.get("DYNASOR_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
MATH500 = SHARED_DATA / "problems" / "math500.jsonl"
R1_TRACE = SHARED_DATA / "traces" / "r1-distill-llama-8b__math100_v1.jsonl.zst"

SAME = [
    ("0.5", "1/2", r"\frac{1}{2}", r"\dfrac12", r"\tfrac{1}2", r"\frac 12", ".5", "$0.50$", r"\(\frac12\)", "½", "2/4"),
    ("3", "3.0", "+3", " 3. ", "{3}", r"\boxed{3}", "**3**", "(3)", "3e0", "x = 3", r"x=3\text{ cm}", r"\text{3}"),
    ("0", "-0", "0.00", "-0.0"),
    ("-1/2", r"-\frac{1}{2}", r"\frac{-1}{2}", r"\frac{1}{-2}", "−0.5"),
    ("1234", "1,234", r"1,\!234", "1{,}234", r"\$1,234.00", r"1\,234", "1,234 dollars"),
    ("5", "5 cm", r"5\text{ cm}", r"5\ \mathrm{cm}^2", "5 cm^2", "5 apples", "5 square feet"),
    ("50", "$50", r"50\%", "50%", "50 percent", "50 km/h"),
    ("90", r"90^\circ", r"90^{\circ}", "90°", "90 degrees", r"90\text{ degrees}"),
    ("12", "12th grade", r"12^{\mathrm{th}} \text{ grade}", r"12^{\text{th}}"),
    ("9/5", r"1\frac{4}{5}", "1 4/5", "1.8"),
    ("21/312500", r"6.72 \times 10^{-5}", "0.0000672", "6.72e-5"),
    ("10", "8 + 2 = 10", "x = 8+2 = 10"),
    (r"\sqrt{2}", r"\sqrt2", "√2", "sqrt(2)", r"\sqrt 2"),
    (r"2\pi", "2 pi", "2π", r"2 \pi"),
    (r"\pi r^2", r"\pi r^{2}", r"\pi\,r^2"),
    ("x^{10}", "x^10", "x**10"),
    (r"11\sqrt{5}+11", r"11 \sqrt{5} + 11"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}2)", r"(3.0, \dfrac{\pi}{2})"),
    ("(1/2, 3]", r"\left(\frac{1}{2},3\right]", "(0.5, 3.0]"),
    ("(1,234)", "(1, 234)", "(x,y)=(1,234)"),
    ("1, 2", "1,2", "2, 1", "x=1 or x=2", r"1 \text{ and } 2", "x=1, x=2", "x=1,2"),
    ("3, 5, 7", "3, 5, and 7"),
    ("1, 234", "234, 1"),
    (r"\{1, 2\}", r"\{2,1,1\}"),
    (r"(-\infty, 2)\cup(3, \infty)", r"x \in (-\infty,2) \cup (3,\infty)"),
    (
        r"\begin{pmatrix} -1/3 \\ 2 \end{pmatrix}",
        r"\begin{bmatrix} -\frac{1}{3}\\2.0\end{bmatrix}",
        "\\begin{pmatrix}\n-1/3 \\\\\n2\n\\end{pmatrix}",
    ),
    ("C", "(C)", r"\text{(C)}", "C.", "C)", r"\textbf{(C)}"),
    ("Evelyn", "evelyn", r"\text{Evelyn}", "EVELYN."),
    ("No solution", r"\text{no solution}", "no  Solution"),
    (r"x \leq 3", "x<=3", r"x\le 3", "x ≤ 3"),
    ("y = 2x + 3", "2x+3", "2 x + 3"),
]  # fmt: skip

DIFFERENT = [
    ("5", "500"), ("0.5", "50"), (r"50\%", "0.5"), ("1,234", "1, 234"), ("1,234", "(1,234)"), ("1,2", "12"),
    ("(1,2)", "(2,1)"), ("(1,2)", "[1,2]"), ("[1,2)", "(1,2]"), ("3 1/2", "31/2"), ("7\\pi", "7"), ("5 million", "5"),
    ("5 and a half", "5"), ("5 or more", "5"), ("5 x", "5"), ("5 xy", "5"), ("2 sin x", "2"), ("2 sin theta", "2"),
    (r"5\text{ million}", "5"), ("52_8", "52"), ("x=1, y=2", "x=2, y=1"), ("x^{2}3", "x^{23}"), ("C", "c"), ("A", "B"),
    ("x", "X"), ("0.333...", "0.333"), ("1/0", "0"), ("5!", "5"), ("5:30", "5"), ("1e999999999", "1e999999998"),
    ("'abc'", "'ABC'"), ("'5'", "5"), (r"1\frac{5}{4}", "9/4"), (r"\sin x", "sinx"), ("2 AM", "2 PM"),
    ("if a:\n  b\nc", "if a:\n  b\n  c"), ("5x - 7y + 4 = 0", "0"), (r"2\mathrm{e}", "2"), (r"\pm 5", "5"),
    (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{3}"), ("", "0"), ("$", "."), ("(1,2),(3,4)", "(1,2,3,4)"),
]  # fmt: skip


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_spellings_of_one_answer_have_one_form(spellings: tuple[str, ...]) -> None:
    assert {spelling: normal_form(spelling) for spelling in spellings} == dict.fromkeys(
        spellings, normal_form(spellings[0])
    )


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_answers_have_different_forms(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


def test_forms_of_different_lines_of_the_table_differ() -> None:
    forms = [normal_form(spellings[0]) for spellings in SAME]
    assert len(set(forms)) == len(forms)


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (r"\frac{4}{8}", "1/2"),
        ("12.0", "12"),
        (r"\left(\frac{1}{2}, 3\right]", "(1/2, 3]"),
        (r"\text{Evelyn}", "evelyn"),
        (r"\dfrac{\sqrt3}{3}", r"\frac{\sqrt{3}}{3}"),
        (r"\begin{pmatrix} 1 & \frac12 \\ 3 & 4 \end{pmatrix}", r"\begin{pmatrix}1&1/2\\3&4\end{pmatrix}"),
    ],
)
def test_forms_are_readable(answer: str, form: str) -> None:
    assert normal_form(answer) == form


def test_long_texts_are_compared_as_they_are() -> None:
    assert normal_form(f" {'9' * MAX_LENGTH}.0 ") == f"{'9' * MAX_LENGTH}.0"


def test_the_form_of_a_large_power_of_ten_is_bounded() -> None:
    assert normal_form("1e400") == "1" + "0" * 400
    assert normal_form("1e401") == "1e401"
    assert normal_form("1e" + "9" * 500) == "1e" + "9" * 500


RATIONALS = st.fractions(max_denominator=10**6)
PIECES = st.sampled_from(
    [
        r"\frac", r"\sqrt", r"\text{", r"\left(", r"\right)", r"\begin{pmatrix}", r"\end{pmatrix}", r"\{", r"\}", r"\\",
        "&", "{", "}", "(", ")", "[", "]", ",", "=", "^", "_", "$", "%", ".", "-", "+", "/", "*", "1", "23", "4.50",
        "1,234", "x", "cm", "and", "or", "pi", r"\pi", r"\in", r"\cup", "e", "'", '"', "\n", " ",
    ]
)  # fmt: skip
ANSWERS = st.text(max_size=30) | st.lists(PIECES, max_size=30).map("".join)


@given(ANSWERS)
def test_never_raises_and_is_idempotent(answer: str) -> None:
    form = normal_form(answer)
    assert normal_form(form) == form


@given(RATIONALS)
def test_spellings_of_a_rational(value: Fraction) -> None:
    p, q = value.numerator, value.denominator
    for spelling in (f"{p}/{q}", rf"\frac{{{p}}}{{{q}}}", rf"$\dfrac{{{3 * p}}}{{{3 * q}}}$", f"x = {p}/{q} cm"):
        assert normal_form(spelling) == str(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_spellings_of_a_decimal(value: object) -> None:
    plain = f"{value:f}"
    for spelling in (plain, f"{value:,f}", f"${plain}$", f"{plain}00", rf"{plain}\text{{ m}}", f"{plain}."):
        assert normal_form(spelling) == str(Fraction(plain))


@settings(max_examples=40)
@given(RATIONALS, RATIONALS)
def test_different_rationals_have_different_forms(one: Fraction, other: Fraction) -> None:
    assert (normal_form(str(one)) == normal_form(str(other))) == (one == other)


@settings(max_examples=40)
@given(st.lists(RATIONALS, min_size=2, max_size=4))
def test_tuples_are_normalised_by_element(values: list[Fraction]) -> None:
    spelled = " , ".join(rf"\frac{{{value.numerator}}}{{{value.denominator}}}" for value in values)
    assert normal_form(rf"\left( {spelled} \right)") == f"({', '.join(map(str, values))})"


@pytest.mark.parametrize(
    "piece", ["(1,", "\\frac", "\\sqrt", "{", "^", ",", "1,", "\\text{m}", "x=", " and ", "(", "\\{"]
)
def test_hostile_nesting(piece: str) -> None:
    answer = (piece * MAX_LENGTH)[:MAX_LENGTH]
    assert normal_form(normal_form(answer)) == normal_form(answer)


@pytest.mark.skipif(not MATH500.exists(), reason="no shared data")
def test_right_answers_of_math500_merge_only_where_they_are_the_same() -> None:
    with MATH500.open(encoding="utf-8") as lines:
        golds = {json.loads(line)["gold"] for line in lines}
    spellings = defaultdict(set)
    for gold in golds:
        spellings[normal_form(gold)].add(gold)
    merged = {form: group for form, group in spellings.items() if len(group) > 1}
    assert merged == {
        "-2, 1": {"1,-2", "-2,1"}, "1/4": {r"\frac14", r"\frac{1}{4}"}, "5": {"5", "x=5"}, "90": {"90", r"90^\circ"},
        "30": {"30", r"30^\circ"}, "36": {"36", r"36^\circ", r"\$36"}, "15": {"15", r"15\mbox{ cm}^2"},
        "120": {"120", r"120^\circ"}, "10080": {"10080", r"10,\!080"}, r"2\sqrt{5}": {r"2\sqrt{5}", r"2 \sqrt{5}"},
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not R1_TRACE.exists(), reason="no shared data")
def test_spellings_merged_in_a_recording_are_merged_here() -> None:
    zstandard = pytest.importorskip("zstandard")
    with R1_TRACE.open("rb") as compressed:
        text = zstandard.ZstdDecompressor().stream_reader(compressed).read().decode()
    pairs = [
        (sample["raw_answer"], sample["answer"])
        for line in text.splitlines()
        for sample in json.loads(line)["samples"]
        if sample.get("raw_answer") and sample["answer"]
    ]
    same = sum(normal_form(raw) == normal_form(merged) for raw, merged in pairs)
    assert len(pairs) == 1279
    assert same >= 1192  # the recording drops factors of pi, rounds, and glues words together


def test_what_never_settles_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynasor.answers.equivalence._rewritten", lambda text: text + "!")
    assert normal_form("a formula nobody has met yet 17") == "a formula nobody has met yet 17"


def test_a_tuple_with_a_hole_is_not_the_tuple_without() -> None:
    assert normal_form("(1,,2)") != normal_form("(1,2)")


@pytest.mark.parametrize(
    ("one", "other"),
    [(r"\alpha{x}", r"\alpha {x}"), (r"5\hspace{2cm}", "5"), (r"7\text", "7"), (r"\frac{1}{2}\phantom{0}", "0.5")],
)
def test_commands_and_what_follows_them(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other)


def test_what_never_opened_cannot_close() -> None:
    assert tidy("x}+1") == "x+1"
