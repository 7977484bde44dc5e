"""What a destination's reports on storage commitment mean: proven, ask, wait, send again, look there, or a person."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from node.core.proof import LACKING_LIMIT, Doubtful, LookAgain, Proven, SendAgain

COMMITTED = 0
"""Outcome of an instance that the destination has committed to; every other outcome is a Failure Reason."""
PATIENCE = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=24))
"""So long is waited for the report on the first, second and third time of asking; some archives commit at night."""


class Remedy(str, Enum):
    """What helps where an instance was not committed."""

    ASK = "ask"
    SEND = "send"
    PERSON = "person"


@dataclass(frozen=True)
class Failure:
    """What a Failure Reason says, and what helps."""

    words: str
    remedy: Remedy


FAILURES: dict[int, Failure] = {
    0x0110: Failure("it failed while it processed them", Remedy.SEND),
    0x0112: Failure("it does not have them", Remedy.SEND),
    0x0119: Failure("it has them under another SOP class", Remedy.PERSON),
    0x0122: Failure("it does not commit to their SOP class", Remedy.PERSON),
    0x0131: Failure("it knows another transaction of the same UID", Remedy.ASK),
    0x0213: Failure("it lacked room or another resource", Remedy.SEND),
}
"""Failure Reason (0008,1197), every value that PS3.3 section C.14.1.1 defines."""
OF_THE_VENDOR = Failure("it gave a reason of its vendor's own", Remedy.SEND)
NOT_NAMED = Failure("it did not name them in its report", Remedy.ASK)


@dataclass(frozen=True)
class Transaction:
    """One time of asking. number: from 1. asked_at: when the destination took the request, None while it has not.

    outcomes: COMMITTED or a Failure Reason by SOP Instance UID; None until it has reported.
    """

    uid: str
    number: int
    asked_at: datetime | None = None
    outcomes: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Ask:
    """Ask for commitment; a request that was not taken is made again under the same number."""

    number: int


@dataclass(frozen=True)
class LookThere:
    """It does not report: see by a query what it holds."""

    why: str


Verdict = Proven | LookAgain | LookThere | SendAgain | Doubtful


def judge_commitment(
    *, sent: Collection[str], asked: Sequence[Transaction], lacking: int, now: datetime
) -> Verdict | Ask:
    """What follows from the transactions so far. asked: of this sending, by number.

    lacking: how often it was found lacking before. What was committed once stays so, whichever transaction says it;
    what failed is decided by the last one, to which it may still answer.
    """
    committed = {uid for one in asked for uid, outcome in (one.outcomes or {}).items() if outcome == COMMITTED}
    missing = frozenset(sent) - committed
    if not missing:
        return Proven()
    last = asked[-1] if asked else Transaction("", 1)
    if last.outcomes is not None:
        return _after_failure(missing, len(sent), last, last.outcomes, lacking)
    if last.asked_at is None:
        return Ask(last.number)
    due = last.asked_at + PATIENCE[last.number - 1]
    if now < due:
        return LookAgain(due - now, "it was asked to commit to them, and has not reported yet")
    if last.number < len(PATIENCE):
        return Ask(last.number + 1)
    return LookThere(f"no report on storage commitment came, though it was asked {len(PATIENCE)} times")


def _after_failure(
    missing: frozenset[str], sent: int, last: Transaction, outcomes: Mapping[str, int], lacking: int
) -> Verdict | Ask:
    failures = {failure_of(outcomes.get(uid)): None for uid in sorted(missing)}
    remedies = {one.remedy for one in failures}
    why = f"{len(missing)} of {sent} objects are not committed: {'; '.join(one.words for one in failures)}"
    if Remedy.PERSON in remedies:
        return Doubtful(f"{why}. Change that there, or set its proof to another kind; then resend")
    if Remedy.SEND in remedies:
        if lacking + 1 < LACKING_LIMIT:
            return SendAgain(missing, why)
        return Doubtful(f"{why}, {LACKING_LIMIT} times: look there why it does not keep them, then resend")
    if last.number < len(PATIENCE):
        return Ask(last.number + 1)
    return Doubtful(f"{why}, though it was asked {last.number} times: look into its log, then resend")


def failure_of(outcome: int | None) -> Failure:
    """What the outcome of an instance that was not committed says; None where the report leaves it out."""
    if outcome is None or outcome == COMMITTED:
        return NOT_NAMED
    return FAILURES.get(outcome, OF_THE_VENDOR)
