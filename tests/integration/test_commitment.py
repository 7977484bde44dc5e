"""Arrival is proven by storage commitment: the report comes here or there, early, late, twice, or never."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pynetdicom.events import Event

from node.actions import keep_reports
from node.core.commitment import PATIENCE
from node.core.job import DeliveryState
from node.rehearsal.pacs import StandInPacs
from node.state import retention, schema
from node.state.mailbox import Mailbox, ReportLetter
from node.state.rows import DeliveryRow
from tests.integration.test_outbox import move_study
from tests.makers.archive import Archive, report_here, running_archive
from tests.makers.ledger import START, Books, books
from tests.makers.orthanc import running_orthanc
from tests.makers.outgoing import KINDS, Outgoing, terms
from tests.makers.receiver import Door, opened, process_settings, wait_for

__all__ = ["process_settings"]

ACCEPTED, PROVEN, PARKED, WAITING = (
    DeliveryState.ACCEPTED,
    DeliveryState.PROVEN,
    DeliveryState.PARKED,
    DeliveryState.WAITING,
)
SENDING = {"node": {"ae_titles": ["ISOCENTER"]}, "intake": {"disk_reserve_mb": 1, "refuse_associations_mb": 1}}
HERE = {"address": "127.0.0.1", "port": 104}
PEERS = [
    {"name": "pacs", "ae_title": "PACS", "roles": ["destination"], "proof": "commitment", **HERE},
    {"name": "other", "ae_title": "OTHER", "roles": ["destination"], "proof": "commitment", **HERE},
    {"name": "scanner", "ae_title": "SCANNER", "roles": ["source"]},
]


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Books]:
    (tmp_path / "home").mkdir()
    with books(tmp_path / "home") as made:
        yield made


@pytest.fixture
def door(found: Books) -> Iterator[Door]:
    """A receiver in the same home: it hears what the archive reports on associations of its own."""
    with opened(found.home, configuration={"settings": SENDING, "peers": PEERS}) as one:
        yield one


def outgoing_to(found: Books, port: int) -> Outgoing:
    to = terms(port, is_proof_due=True, is_commitment_asked=True)
    outgoing = Outgoing(found, {"pacs": to})
    outgoing.courier._prover._committing._hear_s = 1.0
    return outgoing


def sent(outgoing: Outgoing) -> DeliveryRow:
    """Send the objects, and do what is due some seconds later: ask."""
    assert outgoing.deliver().state is ACCEPTED
    outgoing.books.clock.forward(seconds=6)
    return outgoing.deliver()


def taken(found: Books) -> int:
    """What the receiver heard, moved to the ledger."""
    return keep_reports(found.ledger, found.queue, Mailbox(found.home, ReportLetter), found.clock())


def transactions(found: Books) -> list[tuple[int, bool, bool]]:
    """Number, whether the request was taken, whether it was reported on."""
    with found.ledger.read() as connection:
        rows = connection.execute(schema.commitment.select().order_by(schema.commitment.c.number)).all()
    return [(row.number, row.asked_at is not None, row.outcomes is not None) for row in rows]


@pytest.mark.real("orthanc")
def test_orthanc_commits_and_reports_on_an_association_of_its_own(found: Books, door: Door, tmp_path: Path) -> None:
    us = {"AET": "ISOCENTER", "Host": "127.0.0.1", "Port": door.port, "AllowStorageCommitment": True}
    with running_orthanc(tmp_path / "orthanc", more={"DicomModalities": {"node": us}}) as orthanc:
        outgoing = outgoing_to(found, orthanc.port)
        asked = sent(outgoing)
        wait_for(lambda: taken(found) == 1)
        queued = outgoing.is_queued()
        proven = outgoing.deliver()

    assert (asked.state, queued) == (ACCEPTED, True)
    assert (proven.state, proven.message) == (PROVEN, "it has committed to keep 4 objects")
    assert "commitment-reported" in outgoing.history()


@pytest.mark.real("orthanc")
def test_orthanc_lost_one_it_is_sent_once_more_and_then_a_person_must_look(
    found: Books, door: Door, tmp_path: Path
) -> None:
    import httpx

    us = {"AET": "ISOCENTER", "Host": "127.0.0.1", "Port": door.port, "AllowStorageCommitment": True}
    with running_orthanc(tmp_path / "orthanc", more={"DicomModalities": {"node": us}}) as orthanc:
        outgoing = outgoing_to(found, orthanc.port)
        move_study(outgoing)
        states = []
        for _ in range(2):
            assert outgoing.deliver().state is ACCEPTED
            for one in orthanc.get("/instances")[:1]:
                httpx.delete(f"{orthanc.url}/instances/{one}").raise_for_status()
            found.clock.forward(seconds=6)
            outgoing.deliver()
            wait_for(lambda: taken(found) == 1)
            states.append(outgoing.deliver().state)
        last = outgoing.delivery()

    assert states == [WAITING, PARKED]
    assert "1 of 4 objects are not committed: it does not have them, 2 times" in last.message


def test_a_report_on_the_same_association_needs_no_other(found: Books) -> None:
    def act(archive: Archive, event: Event) -> int:
        report_here(archive, event)
        return 0

    with running_archive(on_action=act) as archive:
        outgoing = outgoing_to(found, archive.port)
        proven = sent(outgoing)
        wait_for(lambda: archive.answers == [0])

    assert proven.state is PROVEN
    assert transactions(found) == [(1, True, True)]


def test_a_report_before_the_answer_to_our_request_counts(found: Books, door: Door) -> None:
    """On another association, so early that the request is not answered yet."""

    def act(archive: Archive, event: Event) -> int:
        archive.answers.append(archive.report_to(door.port, event.action_information))
        assert taken(found) == 1
        return 0

    with running_archive(on_action=act) as archive:
        proven = sent(outgoing_to(found, archive.port))

    assert archive.answers == [0]
    assert proven.state in (PROVEN, ACCEPTED)


def test_a_report_may_come_twice(found: Books, door: Door) -> None:
    with running_archive() as archive:
        outgoing = outgoing_to(found, archive.port)
        sent(outgoing)
        answers = [archive.report_to(door.port, archive.requests[0]) for _ in range(2)]
        count = taken(found)
        proven = outgoing.deliver()
        archive.report_to(door.port, archive.requests[0], lambda _uid: 0x0112)
        late = taken(found)

    assert (answers, count, proven.state) == ([0, 0], 2, PROVEN)
    assert (late, outgoing.delivery().state) == (1, PROVEN)
    assert outgoing.history().count("commitment-reported") == 1


def test_a_report_without_role_selection_is_taken_too(found: Books, door: Door) -> None:
    """Some archives do not negotiate the role that they take."""
    with running_archive() as archive:
        outgoing = outgoing_to(found, archive.port)
        sent(outgoing)
        answer = archive.report_to(door.port, archive.requests[0], with_role=False)
        taken(found)

        assert (answer, outgoing.deliver().state) == (0, PROVEN)


@pytest.mark.parametrize(
    ("change", "answered"),
    [({"transaction": "1.2.3.4"}, 0), ({"calling": "OTHER"}, 0), ({"calling": "SCANNER"}, None)],
    ids=["an unknown transaction", "another archive", "who was never asked"],
)
def test_what_others_say_changes_nothing(found: Books, door: Door, change: dict, answered: int | None) -> None:
    with running_archive() as archive:
        outgoing = outgoing_to(found, archive.port)
        before = sent(outgoing)
        answer = archive.report_to(door.port, archive.requests[0], **change)
        taken(found)

    assert answer == answered
    assert outgoing.delivery() == before
    assert transactions(found) == [(1, True, False)]


@pytest.mark.parametrize(
    ("reason", "state", "words"),
    [
        (0x0112, WAITING, "it does not have them; these are sent again"),
        (0x0122, PARKED, "it does not commit to their SOP class"),
        (0x0131, ACCEPTED, "has not reported yet"),
    ],
)
def test_a_failure_of_one_is_mended_by_its_reason(
    found: Books, door: Door, reason: int, state: DeliveryState, words: str
) -> None:
    with running_archive() as archive:
        outgoing = outgoing_to(found, archive.port)
        sent(outgoing)
        one = str(archive.requests[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        archive.report_to(door.port, archive.requests[0], lambda uid: reason if uid == one else 0)
        taken(found)
        after = outgoing.deliver()

    assert after.state is state
    assert words in after.message
    if state is WAITING:
        with found.ledger.read() as connection:
            kept = {row.sop_uid for row in connection.execute(schema.sent.select())}
        assert len(kept) == len(KINDS) - 1
        assert one not in kept
    if state is ACCEPTED:
        assert archive.requests[0].TransactionUID != archive.requests[1].TransactionUID


def test_who_never_reports_is_asked_again_and_then_looked_at(found: Books) -> None:
    """After that it is asked by a query, which this archive does not answer either: a person must look."""
    with running_archive() as archive:
        outgoing = outgoing_to(found, archive.port)
        outgoing.deliver_until(START + timedelta(days=3))
        last, asked = outgoing.delivery(), len(archive.requests)

    assert asked == len(PATIENCE)
    assert last.state is PARKED
    assert "no report on storage commitment came, though it was asked 3 times, and pacs does not accept" in last.message


def test_the_same_transaction_is_asked_again_where_the_request_was_not_taken(found: Books) -> None:
    statuses = [0x0213, 0x0000]

    def act(_archive: Archive, _event: Event) -> int:
        return statuses.pop(0)

    with running_archive(on_action=act) as archive:
        outgoing = outgoing_to(found, archive.port)
        refused = sent(outgoing)
        before = transactions(found)
        found.clock.at = refused.next_at or found.clock.at
        outgoing.deliver()

    assert "lacks a resource to commit to storage (0213)" in refused.message
    assert before == [(1, False, False)]
    assert transactions(found) == [(1, True, False)]
    assert archive.requests[0].TransactionUID == archive.requests[1].TransactionUID


@pytest.mark.parametrize(
    ("commits", "status", "words"),
    [
        (False, 0, "pacs does not accept storage commitment: enable it there for ISOCENTER"),
        (True, 0x0124, "pacs refuses to commit to storage for ISOCENTER (0124, not authorised): allow it there"),
    ],
)
def test_who_does_not_commit_is_told_to_a_person(found: Books, commits: bool, status: int, words: str) -> None:
    with running_archive(on_action=lambda _archive, _event: status, commits=commits) as archive:
        parked = sent(outgoing_to(found, archive.port))

    assert parked.state is PARKED
    assert words in parked.message
    assert 'or set its proof to "none"' in parked.message


def test_an_archive_that_is_away_is_asked_later(found: Books, tmp_path: Path) -> None:
    with StandInPacs(tmp_path / "pacs") as pacs:
        outgoing = outgoing_to(found, pacs.port)
        outgoing.deliver()
    found.clock.forward(seconds=6)
    away = outgoing.deliver()

    assert away.state is ACCEPTED
    assert "its arrival is not proven yet: Nothing listens" in away.message
    assert outgoing.is_queued()


def test_a_report_outlives_the_receiver_and_the_service(found: Books, door: Door) -> None:
    """It is on disk before it is answered; taking it out twice, as after a crash, changes nothing."""
    with running_archive() as archive:
        outgoing = outgoing_to(found, archive.port)
        sent(outgoing)
        archive.report_to(door.port, archive.requests[0])
        door.listener.stop()
        letters = list(Mailbox(found.home, ReportLetter).letters())
        first = taken(found)
        Mailbox(found.home, ReportLetter).post(letters[0][1])
        second = taken(found)
        proven = outgoing.deliver()

    assert (first, second, proven.state) == (1, 1, PROVEN)


def test_what_was_asked_is_forgotten_with_its_study(found: Books) -> None:
    with running_archive() as archive:
        sent(outgoing_to(found, archive.port))
    with found.ledger.write() as connection:
        study_id = connection.execute(schema.study.select()).one().id
    retention.erase(found.ledger, found.home, study_id, found.clock(), lambda _: None)

    assert transactions(found) == []
