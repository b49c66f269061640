"""Every spelling in which a request names its program."""

import msgspec
import pytest

from dynasor.gateway.asked import Asked
from dynasor.gateway.identity import Identity, forwarded, identify
from dynasor.gateway.refusals import Refused


def read(body: dict[str, object], **headers: str) -> Identity:
    named = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    return identify(msgspec.convert(body, Asked), named)


@pytest.mark.parametrize(
    "body",
    [
        {"program_id": "p1"},
        {"dynasor": {"program_id": "p1"}},
        {"vllm_xargs": {"agentic_context": {"program_id": "p1", "parent_program_id": "p0"}}},
        {"vllm_xargs": {"dynasor_program": "p1"}},
        {"session_id": "p1"},
    ],
)
def test_bodies(body: dict[str, object]) -> None:
    assert read(body).id == "p1"


@pytest.mark.parametrize(
    "name",
    [
        "x_dynasor_program_id", "x_session_id", "x_dynamo_session_id", "x_litellm_session_id", "x_correlation_id",
        "x_claude_code_session_id",
    ],
)  # fmt: skip
def test_headers(name: str) -> None:
    assert read({}, **{name: "p1"}).id == "p1"


def test_the_strongest_goes_first() -> None:
    told = {"x_correlation_id": "weak", "x_session_id": "middle", "x_dynasor_program_id": "strong"}
    assert read({"program_id": "strongest", "session_id": "x"}, **told).id == "strongest"
    assert read({"session_id": "x"}, **told).id == "strong"
    del told["x_dynasor_program_id"]
    assert read({}, **told).id == "middle"


def test_nobody_is_a_program_of_its_own() -> None:
    assert read({"user": "u", "vllm_xargs": {"other": 1}}) == Identity(None)


@pytest.mark.parametrize("odd", [7, "text", [], {"agentic_context": "text"}, {"agentic_context": {"program_id": 7}}])
def test_what_others_put_into_their_fields_is_theirs(odd: object) -> None:
    assert read({"vllm_xargs": odd, "dynasor": odd}).id is None


@pytest.mark.parametrize(
    ("told", "tokens"), [(400, 400.0), (0.5, 0.5), (-1, None), (True, None), ("400", None), (1e16, None), (None, None)]
)
def test_what_a_program_needs_yet(told: object, tokens: float | None) -> None:
    assert read({"vllm_xargs": {"dynasor_program": "p", "dynasor_remaining_tokens": told}}).remaining_tokens == tokens


def test_a_number_is_an_id_too() -> None:
    assert read({"vllm_xargs": {"dynasor_program": 17}}).id == "17"


@pytest.mark.parametrize("id", ["", "a b", "x" * 129, "a/b", "é", "\ud800", "a\n"])
def test_an_id_that_was_meant_for_us_is_refused_where_it_cannot_be(id: str) -> None:
    with pytest.raises(Refused, match="letters, digits"):
        identify(Asked(program_id=id), {})


def test_a_header_of_others_may_hold_anything() -> None:
    assert read({}, x_correlation_id="a b", x_session_id="").id is None
    assert read({"session_id": "a b"}, x_session_id="sound").id == "sound"
    with pytest.raises(Refused, match="x-dynasor-program-id"):
        read({}, x_dynasor_program_id="a b")


def test_the_last_request_says_so() -> None:
    assert read({"program_id": "p"}, x_dynamo_session_final="true").is_last
    assert not read({"program_id": "p"}, x_dynamo_session_final="false").is_last


def test_a_backend_is_told_as_the_client_told_and_in_the_common_spelling() -> None:
    told = forwarded({b"x-dynamo-session-id": b"p1", b"x-other": b"y"}, Identity("p1"), "team")
    assert told == {"x-dynamo-session-id": "p1", "x-session-id": "team:p1"}
    assert forwarded({b"x-session-id": b"p1"}, Identity("p1"), "team") == {"x-session-id": "p1"}
    assert forwarded({b"x-session-id": b"a b\x00"}, Identity(None), "team") == {}
    assert forwarded({}, Identity("p1"), "team") == {"x-session-id": "team:p1"}
