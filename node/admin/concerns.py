"""What needs a person, in plain words: what happened, and where to look."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import node.state.overview as facts
from node.admin.health import Health
from node.admin.words import span
from node.core.parts import Kind
from node.editing import Editor
from node.errors import ConfigurationInvalid
from node.state.ledger import Ledger
from node.state.overview import Group
from node.state.pauses import Paused, paused

LATELY = timedelta(days=1)
PATIENCE = timedelta(minutes=15)
"""A destination that does not answer for a shorter time is nobody's concern yet."""
FULL_SOON = timedelta(days=2)


@dataclass(frozen=True)
class Concern:
    """One thing that needs a person. path: where to see and mend it."""

    title: str
    detail: str
    path: str
    since: datetime | None = None


def of_ledger(ledger: Ledger, now: datetime) -> list[Concern]:
    """What the ledger tells."""
    with ledger.read() as connection:
        held, parked = facts.held(connection), facts.parked(connection)
        failed, postponed = facts.failed(connection), facts.postponed(connection)
        undecided, away = facts.undecided(connection, now - LATELY), facts.turned_away(connection, now - LATELY)
        pauses = paused(connection)
    return [
        *(Concern("A study is held until you decide", one.message, f"/studies/{one.id}", one.since) for one in held),
        *(
            Concern(
                f"{one.whose} refuses {_count(one, 'delivery', 'deliveries')}", one.message, "/outbox", one.since
            )
            for one in parked
        ),
        *(
            Concern(f"{_count(one, 'job', 'jobs')} of {one.whose} failed", one.message, f"/jobs/{one.id}", one.since)
            for one in failed
        ),
        *(_unreachable(one, now) for one in postponed if now - one.since > PATIENCE),
        *(
            Concern(
                f"Route {one.whose} could not be decided for {_count(one, 'study', 'studies')}",
                one.message, f"/studies/{one.id}", one.since,
            )
            for one in undecided
        ),
        *(
            Concern(
                f"{one.whose or 'A sender without a name'} was turned away {_times(one.count)}",
                one.message, "/associations", one.since,
            )
            for one in away
        ),
        *(_paused(one) for one in pauses),
    ]  # fmt: skip


def of_machine(health: Health, full_in: timedelta | None) -> Iterator[Concern]:
    """What the machine tells."""
    broken = [one for one in health.parts if one.needs_person]
    for one in broken:
        yield Concern(f"{one.name.capitalize()} is {one.standing.value}", one.words, "/system", one.since)
    if full_in is not None and full_in < FULL_SOON and Kind.DISK not in {one.kind for one in broken}:
        yield Concern(
            f"The disk will be full in {span(full_in)}",
            f"{health.disk_free_mb} MB are free. Make room, or keep studies for a shorter time ([retention]).",
            "/system",
        )


def of_files(editor: Editor, folder: Path) -> Iterator[Concern]:
    """What the configuration's files tell: one that cannot be used changes nothing now, and stops the next start."""
    try:
        editor.read()
    except ConfigurationInvalid as error:
        why = str(error).replace(f"{folder}/", "").replace("\n", "; ")
        yield Concern(
            "The configuration cannot be used",
            f"{why}. The node works by the one before, and would not start again: correct the file.",
            "/system",
        )


def _unreachable(one: Group, now: datetime) -> Concern:
    title = f"{one.whose} has not taken {_count(one, 'delivery', 'deliveries')} for {span(now - one.since)}"
    return Concern(title, f"{one.message} It is tried again by itself.", "/outbox", one.since)


def _paused(one: Paused) -> Concern:
    where = {"destination": "/outbox", "model": "/models", "route": "/routes"}[one.kind.value]
    title = f"{one.kind.value.capitalize()} {one.name} is paused"
    return Concern(title, "What comes for it waits until you resume it.", where, one.at)


def _count(one: Group, singular: str, plural: str) -> str:
    number = "more than 1000" if one.count >= facts.MOST else str(one.count)
    return f"{number} {singular if one.count == 1 else plural}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
