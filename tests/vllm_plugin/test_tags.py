from math import inf, nan

import pytest

from dynasor.inside.tags import Tags, encoded, read_tags

TOLD = Tags("p/7#2", 812.5, 6.0, 2, "sc", "gsm8k", 30.0, is_last=True)


def test_what_is_told_is_read() -> None:
    assert read_tags(None, encoded(TOLD)) == TOLD


def test_who_tells_nothing_has_no_tags() -> None:
    assert encoded(Tags()) == {}
    assert read_tags(None, None) == read_tags(None, {}) == Tags()


def test_entries_of_others_are_none_of_our_business() -> None:
    assert read_tags(None, {"agentic_context": {"nested": None}, "kv_transfer_params": [1]}) == Tags()


def test_the_session_is_the_program_where_no_program_is_told() -> None:
    assert read_tags("s", {}).program == "s"
    assert read_tags("s", {"dynasor_program": "p"}).program == "p"
    assert read_tags("s", {"dynasor_program": 7}).program == "7"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dynasor_program", ""),
        ("dynasor_program", "x" * 257),
        ("dynasor_program", ["p"]),
        ("dynasor_program", True),
        ("dynasor_algorithm", 1.5),
        ("dynasor_data_set", {}),
        ("dynasor_remaining_tokens", -1),
        ("dynasor_remaining_tokens", nan),
        ("dynasor_remaining_tokens", inf),
        ("dynasor_remaining_tokens", 10**400),
        ("dynasor_remaining_tokens", "12"),
        ("dynasor_remaining_knob", True),
        ("dynasor_knob", 1.5),
        ("dynasor_knob", -2),
        ("dynasor_deadline_s", [3]),
        ("dynasor_program_end", 2),
        ("dynasor_program_end", "yes"),
        ("dynasor_program_end", 1.0),
    ],
)
def test_what_is_malformed_is_left_out_and_counted(name: str, value: object) -> None:
    assert read_tags("s", {**encoded(TOLD), name: value}).bad_count == 1
    assert read_tags("s", {name: value}) == Tags(program="s", bad_count=1)


def test_entries_that_are_no_mapping_are_counted() -> None:
    assert read_tags(17, ["dynasor_program"]) == Tags(bad_count=2)
