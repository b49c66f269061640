"""What is read of answers that pass by: where events end, and what they cost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dynasor.gateway.event_edges import EventEdges
from dynasor.gateway.spent import Spent

EVENTS = [b"data: {}\n\n", b": ping\r\n\r\n", b"event: x\ndata: 1\n\n", b"data: [DONE]\n\n", b"\n\n"]


@given(
    events=st.lists(st.sampled_from(EVENTS), max_size=8),
    tail=st.binary(max_size=9),
    cuts=st.lists(st.integers(0, 80), max_size=8),
)
def test_however_a_stream_is_cut_its_bytes_are_the_same(events: list[bytes], tail: bytes, cuts: list[int]) -> None:
    stream = b"".join(events) + tail
    edges, passed = EventEdges(), []
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    for start, end in pairwise(places):
        if piece := edges.feed(stream[start:end]):
            assert piece.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")), "whole events only"
            passed.append(piece)
    assert b"".join(passed) + edges.rest() == stream


def test_the_beginning_of_an_event_is_held_back() -> None:
    edges = EventEdges()
    assert edges.feed(b'data: {"a"') == b""
    assert edges.feed(b": 1}\n") == b""
    assert edges.feed(b"\ndata: ") == b'data: {"a": 1}\n\n'
    assert edges.rest() == b"data: "
    assert edges.rest() == b""


def test_an_event_that_does_not_end_is_passed_on_at_last() -> None:
    edges = EventEdges()
    assert edges.feed(b"x" * (1 << 20)) == b""
    assert len(edges.feed(b"x")) == (1 << 20) + 1


def test_usage_is_read_where_it_is_told() -> None:
    spent = Spent()
    spent.whole(b'{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "x": null}}')
    assert (spent.prompt_tokens, spent.completion_tokens, spent.tokens) == (3, 4, 7)


def test_usage_is_read_from_a_stream_s_last_events() -> None:
    spent = Spent()
    for event in (
        b'data: {"choices": [1], "usage": null}\n\n',
        b'data: {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}\n\ndata: [DONE]\n\n',
    ):
        spent.events(event)
    assert (spent.prompt_tokens, spent.completion_tokens) == (1, 2)


def test_without_usage_an_event_is_a_token() -> None:
    spent = Spent()
    for _ in range(5):
        spent.events(b'data: {"choices": []}\n\n')
    spent.events(b"data: [DONE]\n\n")
    assert (spent.prompt_tokens, spent.completion_tokens) == (0, 5)


def test_what_cannot_be_read_costs_nothing() -> None:
    for body in (b"", b"<html>", b"[]", b'{"usage": 3}', b'{"usage": {"completion_tokens": "x"}}', b"\xff"):
        spent = Spent()
        spent.whole(body)
        assert spent.tokens == 0
