import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.answers.literals import MAX_LITERAL_LENGTH, ByValue, asserted, literal_value

LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[1, 2]", "[1,2]"),
        ("'a'", '"a"'),
        ("{1, 2}", "{2, 1}"),
        ("{'a': 1, 'b': [2]}", "{'b': [2], 'a': 1}"),
        ("1", "1.0"),
        ("True", "1"),
        ("f( 1,'a' )", 'f(1, "a")'),
        ("f(1, b=2, c=3)", "f(1, c=3, b=2)"),
        ("(1,)", " (1, )\n"),
        ("-1", "- 1"),
        ("None", "(None)"),
    ],
)
def test_equal_values_are_one_group(one: str, other: str) -> None:
    assert ByValue().place(one) == ByValue().place(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[1, 2]", "(1, 2)"),
        ("[1, 2]", "[2, 1]"),
        ("'1'", "1"),
        ("1, 2", "[1, 2]"),
        ("f(1)", "g(1)"),
        ("f(1)", "f([1])"),
        ("f(1)", "f(a=1)"),
        ("[]", "{}"),
        ("'a'", "'A'"),
        ("b'a'", "'a'"),
    ],
)
def test_different_values_are_not(one: str, other: str) -> None:
    assert ByValue().place(one) != ByValue().place(other)


NO_LITERALS = ["x", "f(x)", "f(**{'a': 1})", "a.f(1)", "1 +", "{[]: 1}", "[" * 500, "\0", "-" * 50_000 + "1", ""]


@pytest.mark.parametrize("text", [*NO_LITERALS, "1" * (MAX_LITERAL_LENGTH + 1)])
def test_what_is_no_literal_goes_by_its_form(text: str) -> None:
    assert literal_value(text) is None
    assert ByValue().place(text) == ByValue().place(f"{text} ")


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(LITERALS)
def test_a_value_is_found_again_in_its_text(value: object) -> None:
    assert literal_value(repr(value)) == literal_value(f" {value!r}\n")
    assert literal_value(f"[{value!r}]") != literal_value(f"({value!r},)")


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("assert f(17) == 18", ("f(17)", "18")),
        ("f( 'a' )=='b'", ("f( 'a' )", "'b'")),
        ("assert f(1) != 2", None),
        ("f(1)", None),
        ("assert", None),
    ],
)
def test_both_sides_of_an_assertion(text: str, sides: tuple[str, str] | None) -> None:
    assert asserted(text) == sides
