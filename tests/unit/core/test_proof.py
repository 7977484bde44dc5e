"""What an archive lists decides whether results have arrived, also where the clock is set meanwhile."""

from datetime import UTC, datetime, timedelta

from node.core.proof import Doubtful, LookAgain, Proven, SendAgain, judge

START = datetime(2026, 1, 1, tzinfo=UTC)


def judged(held: str, lacking: int = 0, **since: float) -> Proven | LookAgain | SendAgain | Doubtful:
    now = START + timedelta(**since)
    return judge(sent=["1", "2"], held=held.split(), accepted_at=START, lacking=lacking, now=now)


def test_what_is_listed_is_proven_and_what_is_not_is_looked_for_and_sent_again_once() -> None:
    assert judged("1 2 3") == Proven()
    assert isinstance(judged("1", minutes=9), LookAgain)
    assert judged("1", minutes=11) == SendAgain(
        frozenset({"2"}), "1 of 2 objects are not listed there, though it accepted them"
    )
    assert isinstance(judged("1", lacking=1, minutes=11), Doubtful)


def test_the_pauses_between_two_looks_double() -> None:
    assert [judged("", seconds=seconds).after.total_seconds() for seconds in (1, 5, 10, 80)] == [5, 5, 10, 80]


def test_a_clock_that_was_set_back_does_not_let_an_archive_be_asked_every_five_seconds() -> None:
    assert isinstance(judged("1", hours=-3), SendAgain)
