"""A notice that could not be made is made due again, like everything else, until it is there."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from node.core.job import JobEvent, Priority
from node.errors import ReasonCode
from node.jobs.notices import ANNOUNCED, notice_run
from node.results.notice import Cause
from node.service.unannounced import Unannounced
from node.state import outbox, schema, work
from node.state.rows import NewJob, ResultRow
from tests.makers.ledger import Books, books, ct_slice


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Books]:
    with books(tmp_path) as made:
        yield made


def refused_job(found: Books, *destinations: str) -> None:
    found.arrive(ct_slice(1))
    with found.ledger.write() as connection:
        study = connection.execute(schema.study.select()).one()
        new = NewJob(
            "j1", "k1", study.id, "r", "m", "1", "d", "i", {}, destinations, incomplete=False, priority=Priority.ROUTINE
        )
        job = work.add_job(connection, new, found.clock())
        assert job is not None
        work.end_job(connection, job, JobEvent.REFUSED, found.clock(), reason=ReasonCode.GANTRY_TILT, message="tilted")


def due(found: Books) -> int:
    """How many notices a worker has been asked for."""
    options = {"load_input": False, "load_output": False}
    return len(found.queue._client.list_workflows(workflow_id_prefix="j1:1:notice", **options))


def unannounced(found: Books) -> Unannounced:
    return Unannounced(found.ledger, found.queue, frozenset({"pacs"}), timedelta(days=7), found.clock)


def test_it_is_asked_for_every_five_minutes_and_not_at_once(found: Books) -> None:
    refused_job(found, "pacs")
    asked = []
    for _ in range(3):
        unannounced(found).look()
        unannounced(found).look()
        asked.append(due(found))
        found.clock.forward(minutes=5)

    assert asked == [0, 1, 2]


def test_what_is_announced_wanted_by_nobody_or_long_past_is_left_alone(found: Books) -> None:
    refused_job(found, "pacs")
    found.clock.forward(minutes=1)
    nobody = Unannounced(found.ledger, found.queue, frozenset({"other"}), timedelta(days=7), found.clock)
    nobody.look()
    past = Unannounced(found.ledger, found.queue, frozenset({"pacs"}), timedelta(seconds=30), found.clock)
    past.look()
    with found.ledger.write() as connection:
        row = ResultRow("1.2.3", "j1", notice_run(1), "notice", "1.2", "1.2", "1.2", "work/x", 0)
        outbox.add_results(connection, [row])
    unannounced(found).look()

    assert due(found) == 0


def test_every_end_that_has_a_notice_has_words_for_it() -> None:
    assert {Cause(one.value) for one in ANNOUNCED} == set(Cause)
