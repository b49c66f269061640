"""The lines of an output are JSON in one line each, whatever a backend answers."""

import msgspec
import pytest

from dynasor.gateway.batches.output_lines import answered, unrun
from dynasor.gateway.batches.records import Item, State, Tokens

ITEM = Item("batch_1", 7, '"a\\u0000b"', b"{}")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{\n  "a": "b",\r\n "c": 1.50\n}\n', {"a": "b", "c": 1.5}),
        ('{"a": "x\u2028y\u2029z\u0085"}'.encode(), {"a": "x\u2028y\u2029z\u0085"}),
        (b"<html>\n</html>", "<html>\n</html>"),
        (b"\xff", "\ufffd"),
        (b"[" * 5000, "[" * 5000),
        (b"", ""),
    ],
)
def test_an_answer_is_one_line(body: bytes, told: object) -> None:
    result = answered(ITEM, 200, body, "req-1")
    text = result.line.decode()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    row = msgspec.json.decode(text)
    assert row == {
        "id": "batch_req_1_7",
        "custom_id": "a\0b",
        "response": {"status_code": 200, "request_id": "req-1", "body": told},
        "error": None,
    }
    assert (result.batch, result.place, result.state) == ("batch_1", 7, State.COMPLETED)


def test_what_it_took_is_read_where_it_is_told() -> None:
    details = '"prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 4}'
    body = f'{{"usage": {{"prompt_tokens": 3, "completion_tokens": 5, {details}}}}}'.encode()
    assert answered(ITEM, 200, body, "r").tokens == Tokens(3, 2, 5, 4)
    for odd in (b"{}", b'{"usage": null}', b'{"usage": {"prompt_tokens": "x"}}', b"[]"):
        assert answered(ITEM, 200, odd, "r").tokens == Tokens()


def test_an_error_is_an_error() -> None:
    assert answered(ITEM, 400, b"{}", "r").state is State.FAILED


@pytest.mark.parametrize(("ending", "code"), [("expired", "batch_expired"), ("cancelled", "batch_cancelled")])
def test_what_was_not_run_says_so(ending: str, code: str) -> None:
    result = unrun(ITEM, ending)
    row = msgspec.json.decode(result.line)
    assert (row["response"], row["error"]["code"], result.state) == (None, code, State.UNRUN)
