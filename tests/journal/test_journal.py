import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.errors import UsageError
from dynasor.journal.journal import JournalError, JournalWriter, read_journal
from dynasor.journal.records import Landed, ProgramFinished, Record, RunStarted
from dynasor.request import Completion, Finish, ProgramId, Recorded, RequestId

START = RunStarted(settings={"cap": 20, "policy": "even", "in_flight": False}, circumstances={"date": "today"})
LANDED = Landed(
    answer="2",
    completion=Completion(
        id=RequestId(ProgramId("p/1"), 3), text='so "2"\n', tokens=7, mean_logprob=-0.25, recorded=Recorded(None)
    ),
)
FINISHED = ProgramFinished(
    program="p/1",
    question="1 + 1?",
    gold="2",
    answer=None,
    correct=0.0,
    certaindex=0.5,
    knob=4,
    tokens=70,
    stopped_by="cap",
    even_tokens=280.0,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def write(path: Path, *records: Record) -> None:
    with JournalWriter(path) as journal:
        for record in records:
            journal.append(record)


def test_records_come_back_as_they_were(path: Path) -> None:
    write(path, START, LANDED, FINISHED)
    assert list(read_journal(path)) == [START, LANDED, FINISHED]


def test_every_record_carries_its_kind_and_version(path: Path) -> None:
    write(path, START, LANDED, FINISHED)
    lines = path.read_text().splitlines()
    assert [line[:22] for line in lines] == [
        '{"kind":"run","v":1,"s',
        '{"kind":"landed","v":1',
        '{"kind":"finished","v"',
    ]


def test_what_is_flushed_is_in_the_file_before_it_is_closed(path: Path) -> None:
    with JournalWriter(path) as journal:
        journal.append(START)
        assert path.read_bytes() == b""
        journal.flush()
        assert list(read_journal(path)) == [START]
        journal.sync()


@given(torn=st.binary(min_size=1, max_size=50).filter(lambda tail: b"\n" not in tail))
def test_a_torn_tail_is_left_out_and_then_removed(tmp_path_factory: pytest.TempPathFactory, torn: bytes) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    write(path, START, LANDED)
    with path.open("ab") as file:
        file.write(torn)
    assert list(read_journal(path)) == [START, LANDED]
    write(path, FINISHED)
    assert list(read_journal(path)) == [START, LANDED, FINISHED]


def test_a_torn_first_line_leaves_an_empty_journal(path: Path) -> None:
    path.write_bytes(b"x" * 200_000)
    assert list(read_journal(path)) == []
    write(path, START)
    assert list(read_journal(path)) == [START]


def test_a_damaged_line_is_named(path: Path) -> None:
    write(path, START)
    with path.open("ab") as file:
        file.write(b"{]\n")
    write(path, FINISHED)
    with pytest.raises(UsageError, match=r"journal.jsonl, line 2: not a journal record"):
        list(read_journal(path))


def test_bytes_that_are_no_text_are_damage_too(path: Path) -> None:
    write(path, START)
    with path.open("ab") as file:
        file.write(b'{"kind":"landed","v":1,"answer":"\xff"}\n')
    with pytest.raises(UsageError, match="line 2: not a journal record"):
        list(read_journal(path))


def test_opening_a_journal_changes_nothing_before_the_first_write(path: Path) -> None:
    write(path, START)
    whole = path.read_bytes() + b"torn"
    path.write_bytes(whole)
    with JournalWriter(path):
        pass
    assert path.read_bytes() == whole


def test_a_force_that_fails_is_told_of_and_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int) -> None:
        raise OSError(5, "Input/output error")

    journal = JournalWriter(path)
    journal.append(START)
    journal.flush()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        for _ in range(2):
            with pytest.raises(JournalError, match=r"cannot force .* to disk: Input/output error"):
                journal.sync()
    journal.close()
    assert list(read_journal(path)) == [START]


def test_a_journal_of_a_newer_layout_is_refused(path: Path) -> None:
    write(path, RunStarted(v=99, settings={}, circumstances={}))
    with pytest.raises(UsageError, match="layout 99 is newer"):
        list(read_journal(path))


def test_a_missing_journal_is_named(path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the journal .*: No such file"):
        list(read_journal(path))


def test_two_writers_are_one_too_many(path: Path) -> None:
    with JournalWriter(path), pytest.raises(UsageError, match="another process is writing"):
        JournalWriter(path)


def test_a_journal_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"cannot open .*: Is a directory"):
        JournalWriter(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_of_and_what_was_written_stays(path: Path) -> None:
    journal = JournalWriter(path)
    journal.append(START)
    journal.flush()
    full = os.open("/dev/full", os.O_WRONLY)
    kept = os.dup(journal._fd)
    os.dup2(full, journal._fd)
    journal.append(LANDED)
    with pytest.raises(JournalError, match="No space left on device; mend that and resume"):
        journal.flush()
    os.dup2(kept, journal._fd)
    journal.close()
    os.close(full)
    os.close(kept)
    assert list(read_journal(path)) == [START, LANDED]


def test_cut_and_failed_completions_keep_how_they_ended(path: Path) -> None:
    ends = [
        Landed(answer=None, completion=Completion(id=RequestId(ProgramId("p"), i), finish=finish, tokens=None))
        for i, finish in enumerate(Finish)
    ]
    write(path, *ends)
    assert list(read_journal(path)) == ends
