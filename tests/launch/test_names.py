import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

import dynasor
from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.decided import Decided
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold
from dynasor.calibration.policy_file import PolicyFile, write_policy_file
from dynasor.errors import SettingsDiffer, UsageError
from dynasor.launch.fingerprint import algorithm_name, policy_name
from dynasor.launch.options import RunOptions
from dynasor.launch.settings import circumstances_of, directory_name, settings_of
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.wiring import make_algorithm, make_policy

PROGRAM = """
import dynasor
from functools import partial


class Patient:
    def __init__(self, step):
        self.step = step

    def __call__(self, progress):
        return dynasor.Grant(self.step)


def least(step, progress):
    return dynasor.Grant(step)


def made(step):
    return lambda progress: least(step, progress)


for policy in (Patient(2), Patient(3), partial(least, 2), partial(least, 3), made(2), made(3), Patient(2).__call__):
    dynasor.run(trace="svamp", policy=policy, cap=4, limit=1)
"""


def patient(progress: dynasor.Progress) -> dynasor.Grant:
    return dynasor.Grant(2)


def hasty(progress: dynasor.Progress) -> dynasor.Grant:
    return dynasor.Grant(5)


@dataclass(frozen=True)
class Stepwise:
    step: int

    def __call__(self, progress: dynasor.Progress) -> dynasor.Grant:
        return dynasor.Grant(self.step)


@dataclass(frozen=True)
class Following:
    other: Policy

    def __call__(self, progress: dynasor.Progress) -> dynasor.Grant:
        return self.other(progress)


class Mine(SelfConsistency):
    """As its base."""


@pytest.mark.slow
def test_a_policy_is_called_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    names: list[set[str]] = []
    for _ in range(2):
        subprocess.run([sys.executable, "program.py"], cwd=tmp_path, check=True)
        names.append({directory.name for directory in (tmp_path / "runs").iterdir()})
    assert names[0] == names[1]
    assert len(names[0]) == 7, "each has a name of its own"
    assert all("0x" not in name for name in names[0])


def test_dataclasses_print_themselves_and_functions_are_named_by_their_source() -> None:
    assert policy_name(Stepwise(2)) == "Stepwise(step=2)"
    both = FirstToStop((Decided(), StaticThreshold()))
    assert policy_name(both) == "FirstToStop(policies=(Decided(), StaticThreshold(threshold=0.7, detect_at=5)))"
    place, _, digest = policy_name(patient).partition(" ")
    assert place == f"{__name__}.patient"
    assert len(digest) == len("(0123456789ab)")
    assert policy_name(Following(patient)).startswith(f"{__name__}.Following (")
    assert policy_name(Following(patient)) != policy_name(Following(hasty))
    either, other = (FirstToStop((Decided(), part)) for part in (patient, hasty))
    assert policy_name(either) != policy_name(other)
    assert policy_name(partial(patient)) == policy_name(partial(patient))
    assert algorithm_name(Mine).startswith(f"{__name__}.Mine (")


def test_what_has_no_source_is_named_by_its_place() -> None:
    scope: dict[str, Policy] = {}
    exec("def typed(progress): return None", {"__name__": "prompt"}, scope)
    assert policy_name(scope["typed"]) == "prompt.typed"


def test_a_module_of_the_user_is_recorded_with_its_source() -> None:
    options = RunOptions(trace="svamp", algorithm="dynasor.programs.self_consistency:SelfConsistency")
    name = settings_of(options, SelfConsistency, "even")["algorithm"]
    assert name == algorithm_name(SelfConsistency)
    assert str(name).startswith("dynasor.programs.self_consistency.SelfConsistency (")


def live(**extra: object) -> RunOptions:
    return RunOptions(problems="q.jsonl", endpoint=dynasor.Endpoint("http://localhost:8000", extra_body=extra))


def test_extra_fields_of_requests_are_settings() -> None:
    plain, one, same, other = (
        settings_of(options, SelfConsistency, "even")
        for options in (live(), live(top_k=5, min_p=0.1), live(min_p=0.1, top_k=5), live(top_k=6))
    )
    assert "extra_body" not in plain
    assert one == same
    assert one["extra_body"] != other["extra_body"]
    with pytest.raises(UsageError, match="extra_body cannot be written as JSON"):
        settings_of(live(callback=print), SelfConsistency, "even")


def test_the_command_can_be_pasted_into_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["dynasor", "run", "my problems.jsonl"])
    assert circumstances_of(RunOptions())["command"] == "dynasor run 'my problems.jsonl'"


def test_a_long_name_is_cut_and_still_its_own() -> None:
    long, other = (directory_name("svamp", "+".join(["even"] * n), RunOptions()) for n in (100, 101))
    assert len(long) < 100
    assert long != other


def test_another_program_of_the_same_name_is_another_run(tmp_path: Path) -> None:
    dynasor.run(trace="svamp", policy="even", cap=3, limit=1, out=tmp_path, algorithm=Mine)
    with pytest.raises(SettingsDiffer, match="algorithm was"):
        dynasor.run(trace="svamp", policy="even", cap=3, limit=1, out=tmp_path, algorithm=SelfConsistency)


def test_settings_change_what_an_algorithm_has_of_its_own() -> None:
    probed = make_algorithm("probed-sc:interval=16").settings
    assert (probed.chains, probed.interval) == (5, 16)
    assert make_algorithm("mcts:selection=uct").settings.entropy_threshold == 0.99


def test_a_policy_file_names_its_policy(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    write_policy_file(PolicyFile(policy="decided+curve:table=1.0@5/0.7@12,detect_at=5,step=5"), path)
    policy, canonical = make_policy(str(path))
    assert canonical == "decided+curve:table=1.0@5/0.7@12,detect_at=5,step=5"
    assert isinstance(policy, FirstToStop)
    with pytest.raises(UsageError, match=r"cannot read the policy file gone\.toml"):
        make_policy("gone.toml")
