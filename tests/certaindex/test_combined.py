from math import nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.certaindex.combined import Combined, Part, drawn_out
from dynasor.certaindex.reward import by_max_reward, by_mean_reward
from dynasor.certaindex.signal import Evidence, by_entropy
from dynasor.errors import UsageError

probabilities = st.floats(0.0, 1.0)
thresholds = st.floats(0.0, 1.0, exclude_min=True)

MCTS_GSM8K = Combined((Part(by_entropy, 0.99), Part(by_mean_reward, 0.4)), threshold=0.7)
REBASE_GSM8K = Combined((Part(by_entropy, 0.85), Part(by_max_reward, 0.99)), threshold=0.7)


def evidence(answers: str, rewards: list[float]) -> Evidence:
    made = Evidence(reward_sum=sum(rewards), reward_count=len(rewards), reward_max=max(rewards))
    for branch, answer in enumerate(answers):
        made.ballot.cast(branch, answer)
    return made


@pytest.mark.parametrize(
    ("answers", "reward", "certain"),
    [
        ("aaa", 0.4, True),  # 3 iterations that agree, and a mean reward of 0.4: the thresholds of table 1
        ("aaa", 0.39, False),
        ("aab", 1.0, False),  # 2 of 3 is 0.42, below 0.99
    ],
)
def test_mcts_on_gsm8k_in_table_1(answers: str, reward: float, certain: bool) -> None:
    assert (MCTS_GSM8K(evidence(answers, [reward])) >= 0.7) is certain


@pytest.mark.parametrize(
    ("ones", "others", "reward", "certain"),
    [
        (16, 0, 0.99, True),
        (14, 2, 0.99, True),  # 0.864 at 16
        (13, 3, 1.0, False),  # 0.826
        (16, 0, 0.98, False),
    ],
)
def test_rebase_on_gsm8k_in_table_1(ones: int, others: int, reward: float, certain: bool) -> None:
    read = evidence("a" * ones + "b" * others, [0.1, reward])
    assert (REBASE_GSM8K(read) >= 0.7) is certain


@given(st.lists(st.tuples(probabilities, probabilities), min_size=1, max_size=4), thresholds)
def test_it_reaches_the_threshold_exactly_if_every_part_reaches_its_own(
    parts: list[tuple[float, float]], threshold: float
) -> None:
    made = Combined([Part(lambda _, x=reading: x, own) for reading, own in parts], threshold)  # type: ignore[misc]
    reading = made(Evidence())
    assert (reading >= threshold) is all(reading >= own for reading, own in parts)
    assert 0.0 <= reading <= 1.0


@given(thresholds, thresholds)
def test_a_hairs_breadth_decides(own: float, threshold: float) -> None:
    assert drawn_out(own, own, threshold) >= threshold > drawn_out(nextafter(own, 0.0), own, threshold)


@given(probabilities, probabilities, probabilities, thresholds)
def test_more_certain_never_reads_as_less(one: float, other: float, own: float, threshold: float) -> None:
    less, more = sorted((one, other))
    assert drawn_out(less, own, threshold) <= drawn_out(more, own, threshold)


@pytest.mark.parametrize(
    ("reading", "own", "value"),
    [(0.0, 0.5, 0.0), (0.25, 0.5, 0.35), (0.5, 0.5, 0.7), (0.75, 0.5, 0.85), (1.0, 0.5, 1.0), (1.0, 1.0, 1.0)],
)
def test_readings_are_drawn_out_piecewise_linearly(reading: float, own: float, value: float) -> None:
    assert drawn_out(reading, own, 0.7) == pytest.approx(value)


@pytest.mark.parametrize(
    ("parts", "threshold", "message"),
    [
        ((), 0.7, "no parts"),
        ((Part(by_entropy, 0.5),), 0.0, "combined threshold is 0.0"),
        ((Part(by_entropy, 0.5),), 1.5, "combined threshold is 1.5"),
        ((Part(by_entropy, 1.5),), 0.7, "a signal's threshold is 1.5"),
    ],
)
def test_what_cannot_be_is_refused(parts: tuple[Part, ...], threshold: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Combined(parts, threshold)
