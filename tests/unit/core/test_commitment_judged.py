"""What follows from reports on storage commitment, from every failure reason and from silence."""

from datetime import UTC, datetime, timedelta

import pytest

from node.core.commitment import (
    COMMITTED,
    FAILURES,
    NOT_NAMED,
    OF_THE_VENDOR,
    PATIENCE,
    Ask,
    LookThere,
    Remedy,
    Transaction,
    failure_of,
    judge_commitment,
)
from node.core.proof import Doubtful, LookAgain, Proven, SendAgain

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SENT = ("1.1", "1.2")


def judged(*asked: Transaction, lacking: int = 0, now: datetime = NOW) -> object:
    return judge_commitment(sent=SENT, asked=asked, lacking=lacking, now=now)


def reported(number: int = 1, **outcomes: int) -> Transaction:
    named = {f"1.{uid.removeprefix('i')}": outcome for uid, outcome in outcomes.items()}
    return Transaction("t", number, NOW, named)


def test_it_is_asked_first_and_again_where_the_request_was_not_taken() -> None:
    assert judged() == Ask(1)
    assert judged(Transaction("t", 1)) == Ask(1)
    assert judged(Transaction("t", 1, NOW), Transaction("u", 2)) == Ask(2)


def test_everything_committed_is_proof() -> None:
    assert judged(reported(i1=COMMITTED, i2=COMMITTED)) == Proven()


def test_a_report_that_came_before_the_answer_counts() -> None:
    assert judged(Transaction("t", 1, None, dict.fromkeys(SENT, COMMITTED))) == Proven()


def test_what_was_committed_once_stays_so() -> None:
    """The first transaction's report comes late, when it was asked for the second time; that one fails for the rest."""
    assert judged(reported(i1=COMMITTED, i2=COMMITTED), Transaction("u", 2, NOW)) == Proven()
    assert judged(reported(i1=COMMITTED), reported(2, i1=0x0110, i2=COMMITTED)) == Proven()


def test_silence_is_waited_out_asked_again_and_ends_in_a_query() -> None:
    asked: list[Transaction] = []
    for number, patience in enumerate(PATIENCE, 1):
        asked.append(Transaction(str(number), number, NOW))
        wait = judged(*asked, now=NOW + patience / 3)
        after = judged(*asked, now=NOW + patience)

        assert isinstance(wait, LookAgain)
        assert wait.after == patience * 2 / 3
        if number < len(PATIENCE):
            assert after == Ask(number + 1)
        else:
            assert isinstance(after, LookThere)


@pytest.mark.parametrize("reason", [*FAILURES, 0xA123])
def test_every_failure_reason_has_an_end(reason: int) -> None:
    """What is mended by sending is sent once more; nothing is asked without an end."""
    first = judged(reported(i1=COMMITTED, i2=reason))
    last = judged(reported(len(PATIENCE), i1=COMMITTED, i2=reason), lacking=1)
    remedy = failure_of(reason).remedy
    expected = {Remedy.SEND: SendAgain, Remedy.PERSON: Doubtful, Remedy.ASK: Ask}[remedy]

    assert isinstance(first, expected)
    assert isinstance(last, Doubtful)
    assert failure_of(reason).words in last.why
    if isinstance(first, SendAgain):
        assert first.missing == {"1.2"}


def test_the_table_has_every_reason_that_dicom_defines() -> None:
    assert set(FAILURES) == {0x0110, 0x0112, 0x0119, 0x0122, 0x0131, 0x0213}  # PS3.3 section C.14.1.1
    assert failure_of(0xFFFF) is OF_THE_VENDOR
    assert failure_of(None) is NOT_NAMED


def test_an_instance_that_the_report_leaves_out_is_asked_for_again() -> None:
    assert judged(reported(i1=COMMITTED)) == Ask(2)
    assert isinstance(judged(reported(len(PATIENCE), i1=COMMITTED)), Doubtful)


def test_the_worst_reason_decides() -> None:
    verdict = judged(reported(i1=0x0112, i2=0x0122))

    assert isinstance(verdict, Doubtful)
    assert "does not commit to their SOP class" in verdict.why


def test_waiting_never_goes_backwards() -> None:
    assert list(PATIENCE) == sorted(PATIENCE)
    assert all(one > timedelta(0) for one in PATIENCE)
