"""The tables of what a peer's answers mean leave nothing out."""

from itertools import pairwise

import pytest

from node.sending.destination import Destination, ObjectOutcome, SendOutcome, SendReport
from node.sending.outcome import (
    INTERRUPTIONS,
    STATUS_TABLE,
    Interruption,
    of_abort,
    of_refused_context,
    of_rejection,
    of_status,
)

PACS = Destination("the PACS", "ARCHIVE", "pacs.example", 104, "ISOCENTER")


def test_the_status_table_covers_every_code_once() -> None:
    """Rows follow each other from 0000 to FFFF without gap or overlap."""
    assert STATUS_TABLE[0].first == 0x0000
    assert STATUS_TABLE[-1].last == 0xFFFF
    assert all(row.first <= row.last for row in STATUS_TABLE)
    assert all(before.last + 1 == after.first for before, after in pairwise(STATUS_TABLE))


def test_only_these_statuses_are_accepted() -> None:
    """No other code, of all there are, lets a delivery count as arrived."""
    accepted = {code for code in range(0x10000) if of_status(code).outcome is SendOutcome.ACCEPTED}
    assert accepted == {0x0000, 0x0111, 0xB000, 0xB006, 0xB007}


def test_only_these_statuses_are_tried_again() -> None:
    """Later is for a peer's condition; what it would answer again is parked."""
    later = {code for code in range(0x10000) if of_status(code).outcome is SendOutcome.LATER}
    assert later == {0x0110, 0x0210, 0x0213, *range(0xA700, 0xA800), 0xFE00, 0xFF00, 0xFF01}


def test_no_status_is_later() -> None:
    """A response without a status promises nothing."""
    assert of_status(None).outcome is SendOutcome.LATER


@pytest.mark.parametrize(("result", "outcome"), [(1, SendOutcome.PARKED), (2, SendOutcome.LATER)])
def test_every_rejection_is_answered(result: int, outcome: SendOutcome) -> None:
    """PS3.8 Table 9-21: permanent is parked, transient is later, whatever source and reason say."""
    answers = [of_rejection(result, source, reason) for source in range(256) for reason in range(256)]
    assert {outcome} == {answer.outcome for answer in answers}
    assert all(answer.text(PACS).startswith("the PACS ") for answer in answers)


def test_a_rejection_with_an_undefined_result_is_parked() -> None:
    """Anything but 1 and 2 counts as a refusal for good."""
    outcomes = {of_rejection(result, 1, 1).outcome for result in range(256) if result != 2}
    assert outcomes == {SendOutcome.PARKED}


def test_an_unknown_calling_title_says_what_to_add_where() -> None:
    """The person reads which side has to change what."""
    expected = "the PACS does not know our AE title ISOCENTER: add it there, with this node's address."
    assert of_rejection(1, 1, 3).text(PACS) == expected


def test_every_abort_is_later() -> None:
    """PS3.8 Table 9-26, and every value it reserves."""
    answers = [of_abort(source, reason) for source in range(256) for reason in range(256)]
    assert {answer.outcome for answer in answers} == {SendOutcome.LATER}
    assert all(answer.text(PACS).startswith("the PACS broke the association off") for answer in answers)


def test_every_interruption_is_later_and_has_words() -> None:
    """The peer never judged the object, so it is never parked."""
    assert set(INTERRUPTIONS) == set(Interruption)
    assert {answer.outcome for answer in INTERRUPTIONS.values()} == {SendOutcome.LATER}
    assert all("{" not in answer.text(PACS) for answer in INTERRUPTIONS.values())


@pytest.mark.parametrize("result", [None, *range(256)])
def test_a_refused_presentation_context_is_parked(result: int | None) -> None:
    """PS3.8 Table 9-18, and every value it does not name."""
    answer = of_refused_context(result)
    assert answer.outcome is SendOutcome.PARKED
    assert answer.text(PACS).startswith("the PACS does not accept this kind of object (")


def test_all_words_can_be_filled_in() -> None:
    """No row names a field that a destination does not have."""
    for row in STATUS_TABLE:
        assert "{" not in row.answer.text(PACS)


def _object(outcome: SendOutcome) -> ObjectOutcome:
    return ObjectOutcome("1.2", outcome, None, None, outcome.value, None)


@pytest.mark.parametrize(
    ("outcomes", "counts", "text"),
    [
        ([], SendOutcome.ACCEPTED, "0 of 0 objects accepted"),
        ([SendOutcome.ACCEPTED] * 2, SendOutcome.ACCEPTED, "2 of 2 objects accepted"),
        ([SendOutcome.ACCEPTED, SendOutcome.LATER], SendOutcome.LATER, "1 of 2 objects accepted; later"),
        ([SendOutcome.ACCEPTED, SendOutcome.PARKED], SendOutcome.PARKED, "1 of 2 objects accepted; parked"),
        (list(SendOutcome), SendOutcome.LATER, "1 of 3 objects accepted; later; parked"),
    ],
)
def test_partial_is_not_accepted_and_what_may_come_is_waited_for(
    outcomes: list[SendOutcome], counts: SendOutcome, text: str
) -> None:
    """The line explains both, why it waits and what is refused."""
    report = SendReport(tuple(_object(one) for one in outcomes))
    assert (report.outcome, report.text) == (counts, text)
