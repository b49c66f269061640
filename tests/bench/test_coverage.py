"""Splits of a recording: halves without a problem in common, and whether promises were kept."""

import pytest

from dynasor.bench.coverage import Coverage, Tried, coverage, exceeding, mean_saving
from dynasor.calibration.calibrate import calibrated, divided
from dynasor.calibration.candidates import measured
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.profile import profiled
from dynasor.metrics.intervals import wilson
from dynasor.programs.self_consistency import SelfConsistency
from support.profiles import setup_at, synthetic

PROMISE = Promise(0.1, 0.9)


def test_a_promise_is_broken_where_more_is_lost_than_was_promised() -> None:
    tried = (Tried("decided", 0.0, 0.2), Tried("x", 0.1, 0.5), Tried("x", 0.11, 0.5), Tried("x", -0.1, 0.4))
    found = Coverage(PROMISE, tried, tried[:1])
    assert found.broken == exceeding(tried, PROMISE) == wilson(1, 4)
    assert found.promised_more == 0.75
    assert mean_saving(tried) == pytest.approx(0.4)


def test_each_split_is_chosen_on_one_half_and_tried_on_the_other() -> None:
    profiles = profiled(synthetic(80, 8, seed=5), SelfConsistency, setup_at(8), orders=1)
    found = coverage(profiles, PROMISE, splits=3)
    assert len(found.promised) == len(found.tuned) == 3
    calibration, test = divided(profiles, 0.5, 1)
    assert not {p.id for p in calibration} & {p.id for p in test}
    again = measured(calibrated(calibration, PROMISE, seed=1).chosen.candidate, test)
    assert found.promised[1] == Tried(again.candidate.text, again.loss, again.saving.value)
    assert mean_saving(found.tuned) >= mean_saving(found.promised) > 0.3
    assert coverage(profiles, PROMISE, splits=3) == found
