import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.answers.extract import EXTRACTORS, MAX_ANSWER_LENGTH, MAX_CODE_LENGTH


def test_names_are_the_public_ones() -> None:
    assert set(EXTRACTORS) == {
        "auto",
        "boxed",
        "phrase",
        "hashes",
        "number",
        "choice",
        "code",
        "last-line",
        "python",
        "output",
        "input",
    }


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\fbox{7}", "7"),
        (r"\boxed {7}", "7"),
        (r"\boxed{\text{(C)}}", r"\text{(C)}"),
        (r"it is \boxed{3}, or rather \boxed{\frac{1}{2", "3"),
        (r"\boxed{outer \boxed{inner}}", "inner"),
        (r"\boxed{5} and so on: \boxed{}", "5"),
        (r"} \boxed{5} {", "5"),
        (r"$\boxed{3}$, $\boxed{5}$, and $\boxed{7}$", "3, 5, 7"),
        ("\\[\n\\boxed{1}, \\boxed{-2}\n\\]", "1, -2"),
        (r"\boxed{1} is not \boxed{2}", "2"),
        ("no box", None),
        (r"\boxed{}", None),
        (r"\boxed{5", None),
    ],
)
def test_boxed(text: str, answer: str | None) -> None:
    assert EXTRACTORS["boxed"](text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 42.", "42"),
        ("THE FINAL ANSWER IS: 42", "42"),
        ("Final answer: 3.5. That is all.", "3.5"),
        ("the answer is .5", ".5"),
        ("**Final Answer:** 42", "42"),
        ("**Answer**: **42**", "42"),
        ("## Final Answer\nThe answer is:\n\n$$\\frac{1}{2}$$\n", r"\frac{1}{2}"),
        ("The answer is $3.5$. Done.", "3.5"),
        ("The answer is $x = 1. 5$.", "x = 1. 5"),
        (r"The answer is \(\sqrt{2}\).", r"\sqrt{2}"),
        (r"The final answer is: $\boxed{\frac{1}{2}}$. I hope it is correct.", r"\frac{1}{2}"),
        ("The answer is 5. No, the answer is 6.", "6"),
        ("The answer is 6. I checked that the answer is correct.", "6"),
        ("The answer is therefore 7", "7"),
        ("The answer to the question is 42", "42"),
        ("The answer is $18 because she sells nine.", "18"),
        ("The answer is 'nrye'.", "nrye"),
        ("ans = 53", "53"),
        ("The answer is (1, 2).", "(1, 2)"),
        ("The answer is Not enough information.", "Not enough information"),
        ("nothing is stated", None),
        ("The answer is", None),
        (r"The answer is $\boxed{}$", None),
    ],
)
def test_phrase(text: str, answer: str | None) -> None:
    assert EXTRACTORS["phrase"](text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("48/2 = 24\n#### 72", "72"),
        ("#### 1\n#### 1,234 ", "1,234"),
        ("inline #### 5", None),
        ("#### ", None),
    ],
)
def test_hashes(text: str, answer: str | None) -> None:
    assert EXTRACTORS["hashes"](text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("first 3, then 14.", "14"),
        ("it costs $1,234.50.", "1234.50"),
        ("-5", "-5"),
        ("x=−5", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("8-3", "3"),
        ("(2)-3", "3"),
        ("pages 3-5", "5"),
        ("about 3/4", "3/4"),
        (r"that is -\frac{13}{15} of it", "-13/15"),
        ("50%", "50"),
        ("1, 2", "2"),
        ("12,34", "34"),
        ("1e-5", "1e-5"),
        ("it weighs .5 kg", ".5"),
        ("15 cm^2 of H2O and x1", "15"),
        ("答案是42。", "42"),
        ("none", None),
    ],
)
def test_number(text: str, answer: str | None) -> None:
    assert EXTRACTORS["number"](text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is (C).", "C"),
        ("The answer is C because of A.", "C"),
        ("Answer: **B**", "B"),
        ("The correct answer is option D", "D"),
        ("(A) is wrong, (B) is right. A man said so; I agree.", "B"),
        (r"\boxed{\text{(E)}}", "E"),
        (r"The answer is \boxed{C}", "C"),
        ("C.", "C"),
        ("So habit evidence.\n\nG", "G"),
        ("the options:\nB. seven\nwhich fits", "B"),
        ("The answer is (B). Not (A).", "B"),
        ("The answer is A", "A"),
        ("the answer is I", "I"),
        ("The answer is A good idea", None),
        ("The answer is I think unknown", None),
        ("A cat sat. I saw it.", None),
        ("I know.\nA dog barked", None),
        ("(K)", None),
    ],
)
def test_choice(text: str, answer: str | None) -> None:
    assert EXTRACTORS["choice"](text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("```python\nx = 1\n```", "x = 1"),
        ("```\na\n```\nand\n```py\nb\n\nc\n```\nbye", "b\n\nc"),
        ("```\n\n    return 1\n```", "    return 1"),
        ("```\na\n```\n```py\nunfinished", "a"),
        ("~~~~\n```\n~~~~", "```"),
        ("```\r\na\r\nb\r\n```", "a\nb"),
        ("```\n```", None),
        ("no code", None),
    ],
)
def test_code(text: str, answer: str | None) -> None:
    assert EXTRACTORS["code"](text) == answer


def test_last_line() -> None:
    assert EXTRACTORS["last-line"]("one\n two \n\n") == "two"
    assert EXTRACTORS["last-line"](" \n ") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"#### 3 The answer is 4. \boxed{5} and 6", "5"),
        ("The answer is 4.\n#### 3\nand 6", "3"),
        ("#### Step 1: think\nThe answer is 4. And 6.", "4"),
        ("#### 1. Define\nso 6", "6"),
        ("so it is 6", "6"),
        ("nothing", None),
    ],
)
def test_auto_takes_the_most_explicit_statement(text: str, answer: str | None) -> None:
    assert EXTRACTORS["auto"](text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>maybe \boxed{4}</think>The answer is 5.", "5"),
        (r"<think>so \boxed{4}</think>As shown in step 3.", "4"),
        (r"thought 7</think>", "7"),
        (r"a</think>\boxed{1}</think>\boxed{2}", "2"),
    ],
)
def test_what_was_said_comes_before_what_was_thought(text: str, answer: str) -> None:
    assert EXTRACTORS["auto"](text) == answer


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("boxed", r"\boxed{%s}"),
        ("phrase", "the answer is %s"),
        ("hashes", "#### %s"),
        ("last-line", "%s"),
        ("number", "%s"),
    ],
)
def test_long_answers_are_none(name: str, text: str) -> None:
    assert EXTRACTORS[name](text % ("1" * MAX_ANSWER_LENGTH)) == "1" * MAX_ANSWER_LENGTH
    assert EXTRACTORS[name](text % ("1" * (MAX_ANSWER_LENGTH + 1))) is None


def test_long_programs_are_none() -> None:
    assert EXTRACTORS["code"](f"```\n{'x' * MAX_CODE_LENGTH}\n```") == "x" * MAX_CODE_LENGTH
    assert EXTRACTORS["code"](f"```\n{'x' * (MAX_CODE_LENGTH + 1)}\n```") is None


PIECES = st.sampled_from(
    ["\\boxed{", "}", "{", "the answer is ", "#### ", "\n", "```", "1,234", "-", "/", ".", "$", "</think>", "(C)", "x"]
)


@given(st.lists(PIECES | st.text(max_size=3)).map("".join))
def test_never_raises_and_never_gives_an_empty_answer(text: str) -> None:
    for extractor in EXTRACTORS.values():
        assert extractor(text) != ""


HOSTILE = [
    "\\boxed{", "\\boxed{1}, ", "the answer is ", "the answer is.", "answer to ", "answer: \\(", "answer: $", "\n####",
    "1", "1,111,", "-", "\\", "```\n", "\n        ", "(A) ", "</think>",
]  # fmt: skip


@contextmanager
def processor_limit(limit_s: float) -> Iterator[None]:
    def end(signum: int, frame: FrameType | None) -> None:
        raise AssertionError(f"used more than {limit_s} s of processor time")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_megabyte_takes_linear_time(piece: str) -> None:
    text = piece * ((1 << 20) // len(piece))
    with processor_limit(30):  # a quadratic search would take hours
        for extractor in EXTRACTORS.values():
            extractor(text)


@pytest.mark.slow
def test_one_open_box_full_of_braces_takes_linear_time() -> None:
    with processor_limit(30):
        assert EXTRACTORS["boxed"]("\\boxed{1}" + "\\boxed{" + "{" * (1 << 20)) == "1"
