import pytest

from dynasor.errors import UnknownName, UsageError
from dynasor.sglang_plugin.hooks import Hooks
from dynasor.sglang_plugin.settings import Settings, read_settings
from dynasor.sglang_plugin.surroundings import Surroundings

ALONE = Surroundings("fcfs", has_priorities=False, disaggregation="null", rank_count=1, is_first=True, engine=0)


def test_where_nobody_asks_there_is_no_plugin() -> None:
    assert read_settings({}) is None


@pytest.mark.parametrize("text", ["", " ", "{}"])
def test_asked_for_without_settings_it_is_as_it_is(text: str) -> None:
    assert read_settings({"DYNASOR_SGLANG": text}) == Settings()


def test_what_is_set_is_read() -> None:
    text = '{"ordering": "gang", "memory_s": 5, "orders_victims": false, "tokens_per_s": 900}'
    expected = Settings(ordering="gang", memory_s=5.0, orders_victims=False, tokens_per_s=900.0)
    assert read_settings({"DYNASOR_SGLANG": text}) == expected


@pytest.mark.parametrize("text", ["{", "[]", '{"grace_s": 1}', '{"tokens_per_s": -1}', '{"memory_s": "long"}'])
def test_what_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_settings({"DYNASOR_SGLANG": text})


def test_an_ordering_that_is_none_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(UnknownName, match="unknown ordering 'shortest'"):
        Hooks(Settings(ordering="shortest"))


def around(**other: object) -> Surroundings:
    from dataclasses import replace

    return replace(ALONE, **other)  # type: ignore[arg-type]


def test_a_server_of_its_own_order_may_be_ordered() -> None:
    ALONE.check(Settings())
    around(rank_count=8).check(Settings(tokens_per_s=5000))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"policy": "lpm"}, "with the policy lpm; leave out --schedule-policy"),
        ({"has_priorities": True}, "with the policy fcfs and priorities; leave out"),
        ({"disaggregation": "decode"}, "not tested with disaggregation"),
        ({"rank_count": 8}, "8 ranks must order alike, and their clocks differ; set tokens_per_s"),
    ],
)
def test_where_the_order_would_not_be_ours_it_is_refused(other: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        around(**other).check(Settings())
