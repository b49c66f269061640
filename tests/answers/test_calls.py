"""Tool calls and JSON as answers."""

import pytest

from dynasor.answers.calls import MARK, calls_answer, json_answer
from dynasor.request import ToolCall


def test_calls_are_the_same_by_name_and_values() -> None:
    one = calls_answer([ToolCall("find", '{"a": 1, "b": [1.0, {"d": 2, "c": null}]}', "x")])
    assert one == calls_answer([ToolCall("find", '{ "b":[1,{"c":null,"d":2}], "a":1 }', "y")])
    assert one == MARK + '[["find",{"a":1,"b":[1,{"c":null,"d":2}]}]]'
    assert one != calls_answer([ToolCall("find", '{"a": "1", "b": [1.0, {"d": 2, "c": null}]}')])
    assert one != calls_answer([ToolCall("look", '{"a": 1, "b": [1.0, {"d": 2, "c": null}]}')])


def test_the_order_of_calls_matters() -> None:
    calls = [ToolCall("a", "{}"), ToolCall("b", "{}")]
    assert calls_answer(calls) != calls_answer(calls[::-1])


@pytest.mark.parametrize("arguments", ['{"a": ', "[" * 100_000, "a=1"])
def test_arguments_that_are_no_json_are_compared_as_text(arguments: str) -> None:
    assert calls_answer([ToolCall("a", arguments)]) == calls_answer([ToolCall("a", arguments)])
    assert calls_answer([ToolCall("a", arguments)]) != calls_answer([ToolCall("a", arguments + "!")])


def test_no_arguments_are_an_empty_object() -> None:
    assert calls_answer([ToolCall("a", "")]) == calls_answer([ToolCall("a", "{}")])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (' {"b": 1, "a": 2.0} ', '{"a":2,"b":1}'),
        ("3.50", "3.5"),
        ("no", None),
        ("", None),
        ('{"a": 1} and more', None),
        ("[" * 100_000, None),
    ],
)
def test_json_is_an_answer_as_a_whole(text: str, answer: str | None) -> None:
    assert json_answer(text) == answer
