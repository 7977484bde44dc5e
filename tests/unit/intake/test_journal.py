"""Who came is told to every process, and outlives the receiver."""

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.core.admission import Caller
from node.intake import journal
from node.intake.advice import ADVICE, Cause
from node.intake.journal import Journal, told
from node.state.associations import AssociationOutcome, AssociationRecord, Associations
from tests.makers.receiver import wait_for

CALLER = Caller("SENDER", "ISOCENTER", "10.0.0.7")
START = datetime(2026, 1, 2, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0

    def __call__(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


def the_record(home: Path) -> AssociationRecord:
    (record,) = Associations(home).records()
    return record


def test_an_association_is_told_from_its_opening_to_its_end(tmp_path: Path) -> None:
    """Counts, last study and times; the reader needs no part of the receiver."""
    clock = Clock()
    entry = Journal(tmp_path, clock).opened(CALLER, "ct1")
    opened = the_record(tmp_path)
    assert (opened.calling_ae, opened.called_ae, opened.address, opened.peer) == (
        "SENDER",
        "ISOCENTER",
        "10.0.0.7",
        "ct1",
    )
    assert (opened.is_open, opened.started_at, opened.stored) == (True, START, 0)

    clock.seconds = 5
    entry.stored("1.2", 1000)
    assert (the_record(tmp_path).study_uid, the_record(tmp_path).last_at) == ("1.2", clock())

    entry.stored("1.2", 1000)
    entry.refused()
    clock.seconds = 9
    entry.end(AssociationOutcome.RELEASED)
    entry.end(AssociationOutcome.ABORTED)
    ended = the_record(tmp_path)
    assert (ended.outcome, ended.ended_at, ended.why) == (AssociationOutcome.RELEASED, clock(), "")
    assert (ended.stored, ended.refused, ended.stored_bytes) == (2, 1, 2000)


def test_another_study_is_told_at_once(tmp_path: Path) -> None:
    """Gathering asks which study an open association brought last."""
    entry = Journal(tmp_path, Clock()).opened(CALLER, None)
    entry.stored("1.2", 1)
    entry.stored("1.3", 1)

    assert the_record(tmp_path).study_uid == "1.3"


def test_why_an_association_was_aborted_is_told(tmp_path: Path) -> None:
    """The first remark counts; without one, the sender is the likely cause."""
    ours, its = (Journal(tmp_path, Clock()).opened(CALLER, None) for _ in range(2))
    ours.remark("a PDU is too long")
    ours.remark("the connection closed")
    for entry in (ours, its):
        entry.end(AssociationOutcome.ABORTED)

    assert {record.why for record in Associations(tmp_path).records()} == {
        "a PDU is too long",
        ADVICE[Cause.CLOSED],
    }


def test_why_instances_were_refused_is_told_beside_how_it_ended(tmp_path: Path) -> None:
    """The first reason; most often the others are the same."""
    entry = Journal(tmp_path, Clock()).opened(CALLER, None)
    entry.refused("C000: cut off")
    entry.refused("A900: another one")
    entry.remark("the sender aborted")
    entry.end(AssociationOutcome.ABORTED)

    assert the_record(tmp_path).why == "the sender aborted; 2 instances were refused, the first with C000: cut off"


def test_rejections_are_told_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a minute for one caller, and nobody fills the disk with AE titles."""
    monkeypatch.setattr(journal, "REJECTIONS_TOLD", 3)
    ours = Journal(tmp_path, Clock())
    for number in (0, 0, 1, 2, 3, 4):
        ours.rejected(Caller(f"AE{number}", "ISOCENTER", "10.0.0.7"), "unknown")

    records = Associations(tmp_path).records()
    assert sorted(record.calling_ae for record in records) == ["AE0", "AE1", "AE2"]
    assert {(record.outcome, record.why) for record in records} == {(AssociationOutcome.REJECTED, "unknown")}


def test_another_reason_is_told_at_once(tmp_path: Path) -> None:
    """Who corrects one setting and tries again sees what else is wrong; numbers alone make no other reason."""
    ours = Journal(tmp_path, Clock())
    for why in ("12 MB are free", "11 MB are free", "no certificate", "no certificate"):
        ours.rejected(CALLER, why)

    assert {record.why for record in Associations(tmp_path).records()} == {"12 MB are free", "no certificate"}


def test_what_a_dead_receiver_left_open_is_lost(tmp_path: Path) -> None:
    """However it died: the kernel knows."""
    code = """if True:
        import os, sys, datetime, pathlib
        from node.core.admission import Caller
        from node.intake.journal import Journal
        entry = Journal(pathlib.Path(sys.argv[1]), lambda: datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)).opened(
            Caller("SENDER", "ISOCENTER", "10.0.0.7"), None)
        print("opened", flush=True)
        sys.stdin.read()
    """
    receiver = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with receiver:
        assert receiver.stdout is not None
        while "opened\n" not in receiver.stdout.readline():
            pass
        assert the_record(tmp_path).is_open
        receiver.kill()

    assert (the_record(tmp_path).outcome, the_record(tmp_path).ended_at) == (AssociationOutcome.LOST, START)


def test_a_record_is_forgotten_once_it_is_kept_elsewhere(tmp_path: Path) -> None:
    """Twice is once."""
    Journal(tmp_path, Clock()).opened(CALLER, None).end(AssociationOutcome.RELEASED)
    record = the_record(tmp_path)
    for _ in range(2):
        Associations(tmp_path).remove(record)

    assert Associations(tmp_path).records() == []


def test_a_journal_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """Receiving goes on; the log says so."""
    ours = Journal(tmp_path, Clock())
    for path in (tmp_path / "spool" / "associations").iterdir():
        path.unlink()
    (tmp_path / "spool" / "associations").rmdir()
    entry = ours.opened(CALLER, None)
    entry.stored("1.2", 1)
    ours.close()

    assert entry.record.stored == 1


def test_what_could_not_be_written_is_told_once_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An association that ends while the disk is full must not stand there as open until the receiver ends."""
    monkeypatch.setattr(journal, "TOLD_AGAIN_S", 0.05)
    folder = tmp_path / "spool" / "associations"
    ours = Journal(tmp_path, Clock())
    ending, going = ours.opened(CALLER, None), ours.opened(CALLER, None)
    replaced, is_full = Path.replace, True

    def replacing(path: Path, target: Path) -> Path:
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replaced(path, target)

    monkeypatch.setattr(Path, "replace", replacing)
    ending.end(AssociationOutcome.RELEASED)
    going.stored("1.2", 1)
    ours.rejected(CALLER, "unknown")
    assert list(folder.glob("*.part")) == []
    assert [one.outcome for one in Associations(tmp_path).records()] == [AssociationOutcome.OPEN] * 2

    is_full = False
    going.end(AssociationOutcome.ABORTED)
    wait_for(lambda: len(Associations(tmp_path).records()) == 3)
    told = {one.id: one.outcome for one in Associations(tmp_path).records()}
    assert (told.pop(ending.record.id), told.pop(going.record.id)) == (
        AssociationOutcome.RELEASED,
        AssociationOutcome.ABORTED,
    )
    assert list(told.values()) == [AssociationOutcome.REJECTED]


@pytest.mark.parametrize(
    ("text", "shown"), [("CT1", "CT1"), ("a\nb\x1b[2J", "a\\nb\\x1b[2J"), ("é", "\\xe9"), ("A" * 1000, "A" * 64)]
)
def test_text_from_the_network_is_cut_and_escaped(text: str, shown: str) -> None:
    """No line breaks, no terminal codes, no floods."""
    assert told(text) == shown
