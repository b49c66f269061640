"""Strict turns are taken where they are allowed, and given back."""

import os

import pytest

from dynasor.bench.round_robin import round_robin


def test_turns_are_taken_for_a_while_where_that_is_allowed() -> None:
    before = os.sched_getscheduler(0)
    with round_robin() as takes_turns:
        assert os.sched_getscheduler(0) == (os.SCHED_RR if takes_turns else before)
    assert os.sched_getscheduler(0) == before


def test_without_the_privilege_all_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int, policy: int, parameter: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    with round_robin() as takes_turns:
        assert not takes_turns
