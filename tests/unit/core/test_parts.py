"""The parts of a node: which of them a node cannot do without, and what is said of each that does not work."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from node.core.parts import (
    NEEDED,
    TODO,
    WITHOUT,
    Kind,
    Process,
    Standing,
    Thing,
    executor_of,
    parts_of,
    why_not_ready,
)

THEN = datetime(2026, 3, 1, tzinfo=UTC)
LATER = THEN + timedelta(hours=1)
ROLES = ("supervisor", "receiver", "service", "worker", "model")
RUNNING = tuple(Process("here", role, 0, 10, "ready", THEN) for role in ROLES)
THINGS = (Thing(Kind.DISK, "", THEN, "9 GB are free"), Thing(Kind.DATABASE, "", THEN))


def with_state(role: str, state: str) -> list[Process]:
    return [replace(one, state=state, since=LATER) if one.role == role else one for one in RUNNING]


def test_every_kind_and_standing_has_its_words() -> None:
    assert (set(WITHOUT), set(TODO)) == (set(Kind), set(Standing))


def test_a_node_of_which_everything_works_is_ready_and_needs_nobody() -> None:
    parts = parts_of(RUNNING, {}, THINGS)

    assert [one.kind for one in parts] == list(Kind)
    assert all(one.works and not one.needs_person and one.since == THEN for one in parts)
    assert why_not_ready(parts) == ""


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("state", "needs"), [("starting", False), ("renewing", False), ("waiting", True), ("stopped", True)]
)
def test_a_process_that_does_not_run_is_told_with_what_stands_still(role: str, state: str, needs: bool) -> None:
    parts = parts_of(with_state(role, state), {}, THINGS)
    (part,) = [one for one in parts if one.kind.value == role]

    assert (part.works, part.needs_person, part.since) == (False, needs, LATER)
    assert (WITHOUT[part.kind][1:] in part.words) == needs
    assert bool(why_not_ready(parts)) == (part.kind in NEEDED)


def test_one_of_two_that_works_is_enough() -> None:
    second = replace(RUNNING[3], slot=1, state="waiting")
    parts = parts_of([*RUNNING, second], {}, THINGS)

    assert why_not_ready(parts) == ""
    assert [one.name for one in parts if one.needs_person] == ["worker 2"]


def test_a_process_that_hangs_is_told_from_its_silence() -> None:
    """Its supervisor sees it run; it is others who miss its signs of life."""
    parts = parts_of(
        RUNNING, {executor_of("here", "model", 0): LATER, executor_of("there", "worker", 0): LATER}, THINGS
    )

    assert [(one.name, one.standing, one.since) for one in parts if not one.works] == [
        ("model 1", Standing.SILENT, LATER)
    ]
    assert "model 1 is silent" in why_not_ready(parts)


@pytest.mark.parametrize("role", ["supervisor", "receiver", "worker", "model"])
def test_a_process_that_nobody_tells_of_is_missed(role: str) -> None:
    parts = parts_of([one for one in RUNNING if one.role != role], {}, THINGS)
    (part,) = [one for one in parts if not one.works]

    assert (part.name, part.standing, part.since) == (role, Standing.ABSENT, None)
    assert "isocenter serve" in part.words


@pytest.mark.parametrize("kind", [Kind.DISK, Kind.DATABASE])
def test_a_disk_or_database_that_cannot_be_used_says_why_in_its_own_words(kind: Kind) -> None:
    things = [replace(one, fault="no room") if one.kind is kind else one for one in THINGS]
    parts = parts_of(RUNNING, {}, things)

    assert why_not_ready(parts).startswith("no room. ")
    assert WITHOUT[kind][1:] in why_not_ready(parts)
    assert [(one.kind, one.needs_person) for one in parts if not one.works] == [(kind, True)]
