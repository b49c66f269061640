"""Bodies of every kind: they are read, or refused, and nothing else happens."""

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.errors import UsageError
from dynasor.gateway.asked import Asked, read_asked
from dynasor.gateway.identity import identify
from dynasor.gateway.limits import Limits, check_depth
from dynasor.gateway.refusals import Refused

LIMITS = Limits()
NAMES = st.sampled_from(sorted(Asked.__struct_fields__)) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(body=st.binary(max_size=60) | st.dictionaries(NAMES, VALUES, max_size=4).map(msgspec.json.encode))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Refused):
        asked = read_asked(body, LIMITS)
        identify(asked, {})
        assert 1 <= asked.choices <= LIMITS.choices or asked.prompt == []


@settings(max_examples=40)
@given(value=VALUES, more=st.text(alphabet='[]{}"\\', max_size=200))
def test_depth_is_told_as_it_is(value: object, more: str) -> None:
    def depth(value: object) -> int:
        if isinstance(value, dict):
            return 1 + max(map(depth, value.values()), default=0)
        return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0

    whole = {"text": more, "value": value}
    body = msgspec.json.encode(whole)
    check_depth(body, depth(whole))
    if depth(whole) > 1:
        with pytest.raises(Refused, match="nested"):
            check_depth(body, depth(whole) - 1)


@pytest.mark.parametrize(
    ("body", "choices"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"n": 2, "best_of": 5}, 5),
        ({"prompt": "text", "n": 2}, 2),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": ["a", "b"], "n": 2}, 4),
        ({"prompt": [[1], [2], [3]]}, 3),
    ],
)
def test_choices_are_counted(body: dict[str, object], choices: int) -> None:
    assert read_asked(msgspec.json.encode(body), LIMITS).choices == choices


def test_the_newer_name_of_a_limit_goes_first() -> None:
    assert Asked(max_tokens=1, max_completion_tokens=2).answer_tokens == 2
    assert Asked(max_tokens=1).answer_tokens == 1
    assert Asked().answer_tokens is None


def test_the_field_at_fault_is_named() -> None:
    with pytest.raises(Refused) as told:
        read_asked(b'{"max_tokens": "many"}', LIMITS)
    assert told.value.param == "max_tokens"


def test_limits_of_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match=r"limits\.messages is 0"):
        Limits(messages=0)
