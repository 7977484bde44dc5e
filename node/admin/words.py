"""How the window says times, sizes and states: in words, the same on every page."""

from collections.abc import Callable
from datetime import datetime, timedelta

from node.core.outcome import Outcome

OUTCOME_WORDS: dict[Outcome, str] = {
    Outcome.HELD: "held",
    Outcome.FAILED: "failed",
    Outcome.PARKED: "parked",
    Outcome.GATHERING: "arriving",
    Outcome.WORKING: "working",
    Outcome.SENDING: "sending",
    Outcome.REFUSED: "not analysed",
    Outcome.DELIVERED: "delivered",
    Outcome.ENDED: "ended",
    Outcome.NO_JOB: "no route",
    Outcome.PURGED: "purged",
}

TONES: dict[str, str] = {
    "held": "bad", "failed": "bad", "parked": "bad", "quarantined": "bad", "rejected": "bad", "crashed": "bad",
    "error": "bad", "aborted": "bad", "lost": "bad",
    "silent": "bad", "absent": "bad", "faulty": "bad", "stopped": "bad",
    "gathering": "live", "working": "live", "sending": "live", "queued": "live", "prepared": "live",
    "inferred": "live", "waiting": "live", "open": "live", "starting": "live", "renewing": "live",
    "refused": "warn", "undecided": "warn", "dropped": "warn", "cancelled": "warn", "paused": "warn", "later": "warn",
    "soon": "warn",
    "delivered": "good", "proven": "good", "accepted": "good", "encoded": "good", "done": "good", "ready": "good",
    "taken": "good", "released": "good",
}  # fmt: skip
"""How a state is coloured; the word is always there too. One that is absent here is quiet."""

MINUTE, HOUR, DAY = 60, 3600, 86400


def span(value: timedelta | float | None) -> str:
    """A length of time, as exact as a person wants it."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    if seconds < 2 * DAY:
        return f"{seconds / HOUR:.0f} h"
    return f"{seconds / DAY:.0f} days"


def clock(value: datetime | None) -> str:
    """Date and time where the node stands, to the second."""
    return "–" if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago_from(now: Callable[[], datetime]) -> Callable[[datetime | None], str]:
    """Says of a time how long ago it was, or in how long it will be."""

    def ago(value: datetime | None) -> str:
        if value is None:
            return "–"
        seconds = (now() - value).total_seconds()
        if abs(seconds) < 1:
            return "now"
        return f"in {span(-seconds)}" if seconds < 0 else f"{span(max(seconds, 1.0))} ago"

    return ago


def megabytes(value: float) -> str:
    """A size that is given in megabytes."""
    if value < 1024:
        return f"{value:.0f} MB"
    return f"{value / 1024:.1f} GB" if value < 1024 * 1024 else f"{value / 1024 / 1024:.1f} TB"


def size(value: float) -> str:
    """A size that is given in bytes."""
    return f"{value / 1024:.0f} kB" if value < 1 << 20 else megabytes(value / (1 << 20))


def day(value: str | None) -> str:
    """A DICOM date as people write it; as it came where it is none."""
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if value and len(value) == 8 and value.isdigit() else value or ""


def plain(value: object) -> str:
    """Text from a stranger: what cannot be printed, or turns the direction of writing, is shown as �."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in str(value))


def tone(value: str) -> str:
    """The colour of a state."""
    return TONES.get(value, "quiet")
