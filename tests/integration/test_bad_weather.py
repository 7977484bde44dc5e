"""A PACS in bad weather: it breaks off over one object, asks to be left alone, or was away for days; time is turned."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import pytest
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event

from node.actions import Operator
from node.core.job import DeliveryState
from node.core.pausable import Pausable
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.running import free_ports
from node.sending.destination import WebAddress
from node.state import outbox
from node.state.rows import DeliveryRow
from tests.makers import hostile_web as web
from tests.makers.ledger import START, Books, books, is_live
from tests.makers.outgoing import KINDS, Outgoing, terms, web_terms

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ABORTS = -1


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Books]:
    (tmp_path / "home").mkdir()
    with books(tmp_path / "home") as made:
        yield made


@contextmanager
def moody_pacs(answer: Callable[[str], int]) -> Iterator[tuple[int, list[str]]]:
    """Its port, and what it kept. answer: the status for an instance, or ABORTS."""
    kept: list[str] = []

    def store(event: Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        status = answer(uid)
        if status == ABORTS:
            event.assoc.acse.send_abort(0)
            event.assoc.kill()
        elif status == 0:
            kept.append(uid)
        return max(status, 0)

    entity = AE("PACS")
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield server.server_address[1], kept
    finally:
        server.shutdown()


def uids_of(outgoing: Outgoing) -> list[str]:
    with outgoing.books.ledger.read() as connection:
        return [one.sop_uid for one in outbox.results_of(connection, "j1", 1)]


def delivery_of(found: Books, identity: str) -> DeliveryRow:
    with found.ledger.read() as connection:
        return outbox.get_delivery(connection, identity)


def test_an_archive_that_breaks_off_over_one_object_gets_all_others(found: Books) -> None:
    """The segmentation crashes its parser: report and summary are not held back behind it."""
    bad: list[str] = []
    with moody_pacs(lambda uid: ABORTS if uid in bad else 0) as (port, kept):
        outgoing = Outgoing(found, {"pacs": terms(port)})
        bad += uids_of(outgoing)[:1]
        first = outgoing.deliver()
        second = outgoing.deliver()

    assert (first.state, second.state) == (DeliveryState.WAITING, DeliveryState.WAITING)
    assert set(kept) == set(uids_of(outgoing)[1:])
    assert second.message.startswith("3 of 4 objects accepted")


def test_what_may_still_arrive_is_tried_before_a_person_is_asked(found: Books) -> None:
    """One object is refused for good, the archive then breaks off: the others go later, and then a person looks."""
    refused: list[str] = []
    broken: list[str] = []
    with moody_pacs(lambda uid: 0xC000 if uid in refused else ABORTS if uid in broken else 0) as (port, kept):
        outgoing = Outgoing(found, {"pacs": terms(port)})
        refused += uids_of(outgoing)[:1]
        broken += uids_of(outgoing)[1:2]
        first = outgoing.deliver()
        broken.clear()
        second = outgoing.deliver()

    assert first.state is DeliveryState.WAITING
    assert outgoing.history().count("delivery-postponed") == 1
    assert second.state is DeliveryState.PARKED
    assert "cannot understand the object" in second.message
    assert len(kept) == len(KINDS) - 1


def test_when_an_archive_is_back_all_that_waits_goes_at_once(found: Books, tmp_path: Path) -> None:
    """After hours every pause is an hour: the last results would come so long after the archive."""
    (port,) = free_ports(1)
    outgoing = Outgoing(found, {"pacs": terms(port)})
    others = [outgoing.one_more(number) for number in "234"]
    for _ in range(9):
        for identity in [outgoing.ids["pacs"], *others]:
            outgoing.courier.deliver(identity, delivery_of(found, identity).attempt)
        found.clock.forward(hours=1)
    while_down = [delivery_of(found, one) for one in others]
    found.clock.forward(minutes=-1)  # the first is tried a little before the others are due
    with StandInPacs(tmp_path / "pacs", port=port):
        back = outgoing.deliver()
        due = [delivery_of(found, one) for one in others]
        queued = [is_live(found.queue, found.queue.delivery_id(one.id, one.attempt)) for one in due]

    assert back.state is DeliveryState.ACCEPTED
    assert all(one.next_at is not None and one.next_at > found.clock() for one in while_down)
    assert all(one.next_at is not None and one.next_at <= found.clock() for one in due)
    assert all(queued)


@pytest.mark.parametrize("answer", [0xA700, ABORTS])
def test_what_an_archive_refuses_to_take_now_is_not_hurried_by_what_it_takes(found: Books, answer: int) -> None:
    """It has no room for some, or breaks off over them: these keep their pauses, whatever else it accepts, and do not
    keep that waiting."""
    full: list[str] = []
    with moody_pacs(lambda uid: answer if uid in full else 0) as (port, _):
        outgoing = Outgoing(found, {"pacs": terms(port)})
        full += uids_of(outgoing)
        second, third = outgoing.one_more("2"), outgoing.one_more("3")
        outgoing.courier.deliver(second, 1)
        waiting = outgoing.deliver()
        outgoing.courier.deliver(third, 1)

    assert delivery_of(found, third).state is DeliveryState.ACCEPTED
    assert outgoing.delivery() == waiting


@pytest.mark.parametrize("how", ["resend", "resume"])
def test_after_a_person_stepped_in_the_pauses_begin_anew(found: Books, how: str) -> None:
    """Days after the first try: the archive that was mended needs a minute more, and is not left alone for an hour."""
    operator, outgoing = Operator(found.ledger, found.queue), Outgoing(found, {"pacs": terms(1)})
    outgoing.deliver_until(START + 3 * DAY)
    operator.pause(Pausable.DESTINATION, "pacs", found.clock())
    found.clock.forward(days=8)
    operator.resume(Pausable.DESTINATION, "pacs", found.clock())
    if how == "resend":
        operator.resend(outgoing.ids["pacs"], found.clock())
    waiting = outgoing.deliver()

    assert waiting.state is DeliveryState.WAITING
    assert waiting.next_at is not None
    assert waiting.next_at - found.clock() == timedelta(seconds=30)


http_date = partial(format_datetime, usegmt=True)


def test_what_waits_for_a_new_token_goes_with_it(found: Books, tmp_path: Path) -> None:
    """A token ends over night: whatever was sent with it goes once it is renewed, and nobody resends it by hand."""
    secret = tmp_path / "token"
    secret.write_text("old")

    def conduct(connection: socket.socket) -> None:
        while True:
            known = b"bearer new" in web.read_request(connection).lower()
            status = b"200 OK" if known else b"401 Unauthorized"
            connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

    with web.hostile_server(conduct) as url:
        outgoing = Outgoing(found, {"pacs": web_terms(url, web=WebAddress(url, secret_file=str(secret)))})
        other = outgoing.one_more("2")
        refused = outgoing.deliver()
        outgoing.courier.deliver(other, 1)
        secret.write_text("new")
        found.clock.forward(seconds=40)
        sent = outgoing.deliver()

    assert refused.state is DeliveryState.WAITING
    assert "the secret" in refused.message
    assert sent.state is DeliveryState.ACCEPTED
    due = delivery_of(found, other).next_at
    assert due is not None
    assert due <= found.clock()


def refusing(headers: str) -> web.Conduct:
    return web.answering(f"HTTP/1.1 503 Later\r\n{headers}Content-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ("Retry-After: 600\r\n", 600),
        ("Retry-After: 1\r\n", 30),
        ("Retry-After: 999999999999999999999\r\n", 3600),
        ("Retry-After: -5\r\n", 30),
        ("Retry-After: soon\r\n", 30),
        ("Retry-After: \u00b2\r\n", 30),
        (f"Date: {http_date(START)}\r\nRetry-After: {http_date(START + HOUR / 2)}\r\n", 1800),
        ("Retry-After: Wed, 99 Foo 2026 99:99:99 GMT\r\n", 30),
    ],
    ids=["seconds", "sooner", "far-too-long", "negative", "words", "no-digit", "date", "no-date"],
)
def test_a_server_that_says_when_to_come_again_is_left_alone_so_long(
    found: Books, headers: str, pause_s: float
) -> None:
    with web.hostile_server(refusing(headers)) as url:
        waiting = Outgoing(found, {"pacs": web_terms(url)}).deliver()

    assert waiting.state is DeliveryState.WAITING
    assert waiting.next_at is not None
    assert waiting.next_at - found.clock() == timedelta(seconds=pause_s)


def test_a_server_that_is_asked_what_it_holds_says_when_to_come_again(found: Books) -> None:
    stored = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def conduct(connection: object) -> None:
        while True:
            is_question = web.read_request(connection).startswith(b"GET")
            later = b"HTTP/1.1 429 Many\r\nRetry-After: 900\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(later if is_question else stored)

    with web.hostile_server(conduct) as url:
        outgoing = Outgoing(found, {"pacs": web_terms(url, is_proof_due=True)})
        assert outgoing.deliver().state is DeliveryState.ACCEPTED
        found.clock.forward(seconds=6)
        asked = outgoing.deliver()

    assert asked.next_at is not None
    assert asked.next_at - found.clock() == timedelta(seconds=900)
    assert asked.next_at.tzinfo is UTC


def test_proving_has_a_time_of_its_own(found: Books, tmp_path: Path) -> None:
    """It was away for almost a week, took the results, and cannot be asked a moment later: it is asked again."""
    (port,) = free_ports(1)
    outgoing = Outgoing(found, {"pacs": terms(port, is_proof_due=True)})
    outgoing.deliver_until(START + 7 * DAY - 2 * HOUR)
    with StandInPacs(tmp_path / "pacs", port=port):
        found.clock.forward(hours=1)
        accepted = outgoing.deliver()
    found.clock.forward(minutes=59)
    asked = outgoing.deliver()

    assert (accepted.state, accepted.first_try_at) == (DeliveryState.ACCEPTED, START)
    assert asked.state is DeliveryState.ACCEPTED
    assert asked.next_at is not None
