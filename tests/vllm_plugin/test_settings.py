import pytest

from dynasor.errors import UnknownName, UsageError
from dynasor.vllm_plugin.ranking import Ranking
from dynasor.vllm_plugin.settings import Settings, read_settings


def test_what_nobody_sets_is_as_it_is() -> None:
    assert read_settings({}, None) == read_settings({"DYNASOR_VLLM": ""}, {"other": 1}) == Settings()


def test_the_command_line_goes_before_the_environment() -> None:
    environ = {"DYNASOR_VLLM": '{"ordering": "gang", "grace_s": 7}'}
    assert read_settings(environ, {}) == Settings(ordering="gang", grace_s=7.0)
    assert read_settings(environ, {"dynasor": {"grace_s": 0}}) == Settings(ordering="gang", grace_s=0.0)


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("{", {}),
        ("[]", {}),
        ('{"patience": 3}', {}),
        ("{}", {"grace_s": "long"}),
        ("{}", {"grace_s": -1}),
        ("{}", {"ordering": None}),
        ("{}", [1]),
    ],
)
def test_what_cannot_be_is_refused(text: str, section: object) -> None:
    with pytest.raises(UsageError):
        read_settings({"DYNASOR_VLLM": text}, {"dynasor": section})


def test_an_ordering_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"known: .*sjf-at-arrival"):
        Ranking(Settings(ordering="gang+shortest"))
