from dynasor.certaindex.reward import by_max_reward, by_mean_reward
from dynasor.certaindex.signal import SIGNALS, Evidence


def test_before_the_first_reward_nothing_is_certain() -> None:
    assert by_mean_reward(Evidence()) == by_max_reward(Evidence()) == 0.0


def test_mcts_reads_the_mean_and_rebase_the_maximum() -> None:
    evidence = Evidence(reward_sum=0.9 + 0.2 + 0.1, reward_count=3, reward_max=0.9)
    assert abs(SIGNALS["reward-mean"](evidence) - 0.4) < 1e-12
    assert SIGNALS["reward-max"](evidence) == 0.9
