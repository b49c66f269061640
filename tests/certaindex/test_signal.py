from math import exp, log

import pytest

from dynasor.certaindex.signal import SIGNALS, Evidence, by_length, by_logprob


def test_short_branches_read_as_certain() -> None:
    assert by_length(Evidence()) == 0.0
    assert by_length(Evidence(tokens=512, finished=2, counted=2)) == 0.5
    short, long = (Evidence(tokens=tokens, finished=2, counted=2) for tokens in (100, 1000))
    assert by_length(short) > by_length(long)


def test_probable_branches_read_as_certain() -> None:
    assert by_logprob(Evidence()) == 0.0
    assert by_logprob(Evidence(logprob_sum=2 * log(0.5), logprob_count=2)) == pytest.approx(0.5)
    assert by_logprob(Evidence(logprob_sum=-1.0, logprob_count=4)) == pytest.approx(exp(-0.25))


def test_every_signal_reads_within_bounds() -> None:
    evidence = Evidence(tokens=70, finished=2, counted=2, logprob_sum=-0.4, logprob_count=2)
    evidence.ballot.cast(0, "a")
    evidence.ballot.cast(1, "a")
    assert {name: 0.0 <= signal(evidence) <= 1.0 for name, signal in SIGNALS.items()} == dict.fromkeys(SIGNALS, True)
    assert SIGNALS["entropy"](evidence) == 1.0
