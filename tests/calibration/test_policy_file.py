"""Policy files: what is written is read again, and what is none is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.calibration.policy_file import PolicyFile, read_policy_file, write_policy_file
from dynasor.errors import UsageError

FILE = PolicyFile(
    policy="decided+static:threshold=0.6891,detect_at=5",
    promise={"tolerance_points": 0.5, "confidence": 0.95, "lossless": False},
    provenance={"recording": 'C:\\runs\\"even"', "cap": 20, "command": "dynasor calibrate é\n\x7f"},
)


def test_it_reads_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "new" / "policy.toml"
    write_policy_file(FILE, path)
    assert read_policy_file(path) == FILE


def test_it_is_written_for_people(tmp_path: Path) -> None:
    write_policy_file(FILE, tmp_path / "policy.toml")
    lines = (tmp_path / "policy.toml").read_text().splitlines()
    assert lines[1] == 'policy = "decided+static:threshold=0.6891,detect_at=5"'
    assert lines[3:7] == ["[promise]", "tolerance_points = 0.5", "confidence = 0.95", "lossless = false"]


@given(text=st.text(st.characters(exclude_categories=["Cs"])), number=st.floats(allow_nan=False))
def test_any_text_and_number_survives(tmp_path_factory: pytest.TempPathFactory, text: str, number: float) -> None:
    path = tmp_path_factory.mktemp("any") / "policy.toml"
    file = PolicyFile(policy=text, provenance={"number": number})
    write_policy_file(file, path)
    assert read_policy_file(path) == file


def test_a_policy_alone_will_do(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('policy = "even"\n')
    assert read_policy_file(tmp_path / "mine.toml") == PolicyFile(policy="even")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"policy = even", "is not a policy file: Invalid value"),
        (b"[promise]", "missing required field `policy`"),
        (b"policy = 5", "Expected `str`, got `int`"),
        (b'policy = "even"\npolicies = 1', "unknown field `policies`"),
        (b"\xff", "is not a policy file"),
    ],
)
def test_what_is_no_policy_file_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_policy_file(path)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_or_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the policy file .*gone\.toml: No such file"):
        read_policy_file(tmp_path / "gone.toml")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*; choose another --out"):
        write_policy_file(FILE, tmp_path / "file" / "policy.toml")


LONG = "/".join(f"{branches}@{branches}-0-1 {branches - 1}-1-2" for branches in range(3, 12))


@pytest.mark.parametrize(
    "policy",
    [
        f"decided+gain:table={LONG}",
        f"gain:table={LONG}+beta:confidence=0.9+gain:table={LONG}",
        f"decided+curve:table={'/'.join(f'0.{9 - n}@{n + 3}' for n in range(9))}/0.05@20/0.01@30,detect_at=3,step=1",
        "decided+curve:table=1@5/0.7@12,detect_at=5,step=0",
    ],
)
def test_long_tables_stand_below_a_row_to_a_line(policy: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    write_policy_file(PolicyFile(policy=policy, provenance={"cap": 20}), path)
    assert read_policy_file(path) == PolicyFile(policy=policy, provenance={"cap": 20})
    lines = path.read_text().splitlines()
    assert max(map(len, lines)) <= 120
    assert ("[tables]" in lines) == (len(policy) > 100)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('policy = "decided+gain:table=tables.mine"\n[tables]\ngain = ["3@3-0-1"]\n')
    with pytest.raises(UsageError, match="names the table 'mine' and has none of that name under"):
        read_policy_file(path)
    path.write_text('policy = "decided+gain:table=tables.gain"\n[tables]\ngain = ["3@3-0-1", "5@"]\n')
    assert read_policy_file(path).policy == "decided+gain:table=3@3-0-1/5@"
