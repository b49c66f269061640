import pytest

from dynasor.errors import UsageError
from dynasor.programs.probing import BOXED, Probing
from dynasor.programs.probing_requests import asked_probing


@pytest.mark.parametrize(
    ("body", "interval", "window", "suffix"),
    [
        ({"dynasor": {"saving_effort": "mid"}}, 64, 3, BOXED),
        ({"dynasor": {"saving_effort": "crazy"}}, 32, 2, BOXED),
        ({"dynasor": {"probe_interval": 16, "certainty_window": 4}}, 16, 4, BOXED),
        ({"dynasor": {}}, 48, 5, BOXED),
        (
            {
                "adaptive_compute": {
                    "mode": "prompting",
                    "probe_text": "So: {",
                    "probe_text_end": "}",
                    "token_interval": 8,
                }
            },
            8,
            5,
            "So: {",
        ),
        ({"adaptive_compute": {"certainty_window": 2, "token_interval": None}, "dynasor": None}, 48, 2, BOXED),
    ],
)
def test_every_spelling_is_understood(body: dict[str, object], interval: int, window: int, suffix: str) -> None:
    probing = asked_probing(body, Probing(interval=48, window=5))
    assert probing is not None
    assert (probing.interval, probing.window, probing.suffix) == (interval, window, suffix)


@pytest.mark.parametrize("body", [{}, {"model": "x"}, {"dynasor": {"saving_effort": "none"}}])
def test_no_wish_is_no_probing(body: dict[str, object]) -> None:
    assert asked_probing(body, Probing()) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"dynasor": {"saving_effort": "much"}}, "effort is 'much'; it must be one of mild"),
        ({"dynasor": {"effort": "mid"}}, "dynasor has no 'effort'; it has saving_effort, probe_interval"),
        ({"dynasor": "mid"}, "dynasor is 'mid'; it must be an object"),
        ({"dynasor": {"probe_interval": "32"}}, "dynasor.probe_interval is '32'; it must be a whole number"),
        ({"dynasor": {"probe_interval": True}}, "must be a whole number"),
        ({"adaptive_compute": {"probe_text": 3}}, "adaptive_compute.probe_text is 3; it must be text"),
        ({"dynasor": {"probe_interval": 0}}, "interval is 0; it must be at least 1"),
        ({"dynasor": {}, "adaptive_compute": {}}, "both dynasor and adaptive_compute are given"),
    ],
)
def test_a_wish_that_cannot_be_is_told(body: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked_probing(body, Probing())
