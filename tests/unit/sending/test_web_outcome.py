"""The tables of what a DICOMweb server's answers mean leave nothing out."""

from itertools import pairwise

import pytest

from node.sending.destination import Destination, SendOutcome, WebAddress
from node.sending.web import Reply
from node.sending.web_answer import read_store_answer
from node.sending.web_outcome import BREAKDOWNS, HTTP_TABLE, Breakdown, Told, Word, of_http, of_store

ACCEPTED, LATER, PARKED = SendOutcome.ACCEPTED, SendOutcome.LATER, SendOutcome.PARKED
PACS = Destination("the PACS", "", "", 0, "ISOCENTER", web=WebAddress("https://pacs.example/dicom-web"))
SILENT = Told(Word.NOTHING)


def test_the_table_covers_every_http_status_once() -> None:
    """Rows follow each other over all of HTTP/1.1's three digits without gap or overlap."""
    assert (HTTP_TABLE[0].first, HTTP_TABLE[-1].last) == (100, 999)
    assert all(row.first <= row.last for row in HTTP_TABLE)
    assert all(before.last + 1 == after.first for before, after in pairwise(HTTP_TABLE))


def test_only_these_statuses_are_accepted() -> None:
    accepted = {status for status in range(1000) if of_store(status, SILENT).outcome is ACCEPTED}
    assert accepted == {*range(200, 300)}


def test_only_these_statuses_are_tried_again() -> None:
    later = {status for status in range(200, 600) if of_store(status, SILENT).outcome is LATER}
    assert later == {401, 408, 421, 423, 425, 429, *range(500, 600)} - {501, 505, 506, 511}


def test_no_redirect_is_followed_or_accepted() -> None:
    assert {of_http(status).answer.outcome for status in range(300, 400)} == {PARKED}


@pytest.mark.parametrize(
    ("status", "told", "outcome"),
    [
        (200, Told(Word.STORED), ACCEPTED),
        (200, Told(Word.FAILED, 0xA700), LATER),  # a server that answers 200 to everything
        (200, Told(Word.UNREADABLE), PARKED),  # a login page
        (202, Told(Word.STORED, 0xB000), ACCEPTED),
        (202, Told(Word.STORED, 0x0001), ACCEPTED),
        (202, Told(Word.FAILED, 0xA900), PARKED),
        (202, Told(Word.FAILED), PARKED),
        (409, Told(Word.NOTHING), PARKED),  # a conflict, and not which: the object may be nowhere
        (409, Told(Word.STORED), ACCEPTED),
        (409, Told(Word.FAILED, 0x0111), ACCEPTED),
        (409, Told(Word.FAILED, 45070), ACCEPTED),  # Azure's DICOM service
        (409, Told(Word.FAILED, 0x0110), LATER),
        (409, Told(Word.FAILED, 0xA700), LATER),
        (409, Told(Word.FAILED, 0xC122), PARKED),
        (409, Told(Word.FAILED, 0x0000), PARKED),  # failed, and success: which?
        (409, Told(Word.FAILED, 0xB000), PARKED),
        (409, Told(Word.FAILED, 999_999_999), PARKED),
        (409, Told(Word.UNREADABLE), PARKED),
        (413, Told(Word.STORED), PARKED),
        (503, Told(Word.STORED), LATER),
    ],
)
def test_the_payload_corrects_the_status(status: int, told: Told, outcome: SendOutcome) -> None:
    assert of_store(status, told).outcome is outcome


def test_every_answer_names_the_peer() -> None:
    words = [row.answer.text(PACS) for row in HTTP_TABLE]
    words += [of_store(status, told).text(PACS) for status in (200, 409) for told in map(Told, Word)]
    assert all("the PACS" in one for one in words)


def test_every_breakdown_is_later_and_says_what_to_check() -> None:
    """Without an answer nobody judged the object, so the same bytes are sent again."""
    assert set(BREAKDOWNS) == set(Breakdown)
    assert {answer.outcome for answer in BREAKDOWNS.values()} == {LATER}
    assert all("the PACS" in answer.text(PACS) for answer in BREAKDOWNS.values())


OURS = '{"00081155": {"vr": "UI", "Value": ["1.2.3"]}'


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ("", SILENT),
        ("{}", SILENT),
        ("[]", SILENT),
        ('{"00081199": {"vr": "SQ", "Value": [' + OURS + "}]}}", Told(Word.STORED)),
        (
            '[{"00081199": {"vr": "SQ", "Value": [' + OURS + ', "00081196": {"vr": "US", "Value": [45056]}}]}}]',
            Told(Word.STORED, 0xB000),
        ),
        (
            '{"00081198": {"vr": "SQ", "Value": [' + OURS + ', "00081197": {"vr": "US", "Value": ["272"]}}]}}',
            Told(Word.FAILED, 0x0110),
        ),
        ('{"00081198": {"Value": [{"00081155": {"Value": ["9.9"]}}]}}', SILENT),
        ('{"00081198": {"Value": [{"00081197": {"Value": [1]}}]}}', Told(Word.FAILED, 1)),
        ('{"00081198": {"Value": [{"00081197": {"Value": [-1.5]}}]}}', Told(Word.FAILED)),
        ('{"0008119A": {"Value": [{"00081197": {"Value": [49152]}}]}}', Told(Word.FAILED, 0xC000)),  # named nothing
        ('{"00081198": {"Value": [null, 3, []]}, "00081199": []}', SILENT),
        ("<html>", Told(Word.UNREADABLE)),
        ("[1]", Told(Word.UNREADABLE)),
        ("[" * 100_000, Told(Word.UNREADABLE)),
        ("9" * 100_000, Told(Word.UNREADABLE)),
    ],
)
def test_a_payload_is_read_whatever_it_is(payload: str, told: Told) -> None:
    assert read_store_answer(Reply(200, "application/dicom+json", payload.encode()), "1.2.3") == told


def test_a_page_for_people_is_no_answer() -> None:
    assert read_store_answer(Reply(200, "text/html", b"<h1>Log in</h1>"), "1.2.3").word is Word.UNREADABLE
