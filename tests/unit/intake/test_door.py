"""What the door lets in."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.errors import ConflictRefused, DatasetMismatch, NodeDraining, SpoolFull, TooLarge, Unreadable
from node.intake.door import Door, Offer
from node.settings import IntakeTable
from node.state.spool import Origin, Outcome, Spool
from tests.makers.elements import CT_IMAGE, EXPLICIT, INSTANCE, STUDY, ct

OFFER = Offer(
    sop_class_uid=CT_IMAGE,
    sop_instance_uid=INSTANCE,
    abstract_syntax_uid=CT_IMAGE,
    transfer_syntax_uid=EXPLICIT,
    origin=Origin("SENDER", "ISOCENTER", "10.0.0.7", "a1", "", datetime(2026, 1, 2, tzinfo=UTC)),
    refuse_conflict=False,
)
LENIENT = IntakeTable(disk_reserve_mb=0, refuse_associations_mb=0)


def door(home: Path, intake: IntakeTable = LENIENT, rung: list[str] | None = None) -> Door:
    spool = Spool(home)
    spool.open()
    return Door(spool, intake, lambda: (rung if rung is not None else []).append("rung"))


def files(home: Path) -> list[Path]:
    return list(home.rglob("*.dcm"))


def test_an_instance_is_taken_and_the_indexer_is_woken(tmp_path: Path) -> None:
    """After the file is durable, not before."""
    rung: list[str] = []
    taken = door(tmp_path, rung=rung).take(OFFER, ct())

    assert (taken.study_uid, taken.published.outcome) == (STUDY, Outcome.NEW)
    assert files(tmp_path) == [taken.published.path]
    assert rung == ["rung"]


@pytest.mark.parametrize(
    ("change", "data_set", "error", "tag"),
    [
        ({}, b"", Unreadable, None),
        ({}, ct()[:-1], Unreadable, 0x7FE00010),
        ({"sop_instance_uid": "../../x"}, ct(), Unreadable, 0x00001000),
        ({"sop_class_uid": "CT", "abstract_syntax_uid": "CT"}, ct(), Unreadable, 0x00000002),
        ({"abstract_syntax_uid": "1.2.840.10008.5.1.4.1.1.4"}, ct(), DatasetMismatch, 0x00000002),
        ({"sop_instance_uid": "1.2.3"}, ct(), DatasetMismatch, 0x00080018),
        ({}, ct(sop_class="1.2.840.10008.5.1.4.1.1.4"), DatasetMismatch, 0x00080016),
    ],
)
def test_what_is_wrong_is_turned_away(
    tmp_path: Path, change: dict, data_set: bytes, error: type, tag: int | None
) -> None:
    """With the element at fault, and nothing written."""
    with pytest.raises(error) as caught:
        door(tmp_path).take(replace(OFFER, **change), data_set)

    assert caught.value.offending_tag == tag
    assert files(tmp_path) == []


def test_what_is_larger_than_the_limit_is_turned_away(tmp_path: Path) -> None:
    """intake.max_instance_mb; equal is not larger."""
    intake = LENIENT.model_copy(update={"max_instance_mb": 1})
    exact = ct(pixels=bytes((1 << 20) - len(ct(pixels=b""))))

    with pytest.raises(TooLarge):
        door(tmp_path, intake).take(OFFER, exact + b"\0\0")
    assert door(tmp_path, intake).take(OFFER, exact).published.outcome is Outcome.NEW


def test_below_the_reserve_nothing_is_taken(tmp_path: Path) -> None:
    """The rest of the disk is for results and ledger."""
    intake = IntakeTable(disk_reserve_mb=1 << 40, refuse_associations_mb=1 << 40)

    with pytest.raises(SpoolFull, match="disk_reserve_mb"):
        door(tmp_path, intake).take(OFFER, ct())


def test_a_draining_node_takes_nothing(tmp_path: Path) -> None:
    """The sender comes back later."""
    stopping = threading.Event()
    ours = Door(door(tmp_path).spool, LENIENT, lambda: None, stopping)
    ours.take(OFFER, ct())
    stopping.set()

    with pytest.raises(NodeDraining):
        ours.take(OFFER, ct())


def test_a_peer_may_have_conflicts_refused(tmp_path: Path) -> None:
    """on_conflict = "refuse"; otherwise both are kept."""
    ours = door(tmp_path)
    ours.take(OFFER, ct())
    other = ct(pixels=b"other")

    with pytest.raises(ConflictRefused):
        ours.take(replace(OFFER, refuse_conflict=True), other)
    assert ours.take(OFFER, other).published.outcome is Outcome.CONFLICT
