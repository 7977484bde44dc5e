"""An upgrade keeps what waits: a node of the first version had jobs in every stage and deliveries in its queues."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from node.core.job import DeliveryState, JobState, Priority, Stage
from node.jobs.engine import prepare_engine
from node.state import outbox, postgres, schema, work
from node.state.bells import Bells
from node.state.database import writing
from node.state.ledger import Ledger
from node.state.migrating import migrations
from node.state.queue import Queue
from tests.makers.ledger import is_live
from tests.makers.programs import ENDS_WITH_US

AT = "'2026-03-01 08:00:00.000000'"
ROWS = """
INSERT INTO iso_study (id, study_uid, patient_id, issuer, state, why, calling_ae, called_ae, association_id,
    first_at, last_at, generation, incomplete, ordered)
VALUES ('s1', '1.2', 'P', '', 'complete', '', 'A', 'B', 'a', {at}, {at}, 1, FALSE, FALSE);
INSERT INTO iso_instance (study_id, sop_uid, series_uid, sop_class_uid, transfer_syntax_uid, kind, sha256, size_bytes,
    path, in_force, received_at, association_id, why)
VALUES ('s1', '1.2.3', '1.2', '1.2', '1.2', 'image', '00', 1, 'x', TRUE, {at}, 'a', '')
"""
JOB = """
INSERT INTO iso_job (id, key, study_id, route, model, model_version, model_digest, input_digest, inputs, destinations,
    incomplete, priority, state, stage, run, turn, message, created_at, changed_at)
VALUES ('{id}', 'k{id}', 's1', 'r', 'm', '1', 'd', 'i', '{{}}', '[]', FALSE, 3, '{state}', '{stage}', 1, 1, '',
    {at}, {at})
"""
DELIVERY = """
INSERT INTO iso_delivery (id, job_id, run, destination, state, attempt, created_at, changed_at, message)
VALUES ('d1', 'j0', 1, 'pacs', 'waiting', 3, {at}, {at}, '')
"""
"""As the first version wrote them."""
STAGES = (("queued", Stage.PREPARE), ("prepared", Stage.INFER), ("inferred", Stage.ENCODE))
JOBS = 12
LIMIT_S = 60.0


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Tables of the first version, with those of the engine."""
    file = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    url = file if request.param == "sqlite" else request.getfixturevalue("postgres").new()
    with closing(Ledger(url)) as found:
        with writing(found.engine).begin() as connection:
            if request.param == "postgresql":
                connection.execute(sa.schema.CreateSchema(postgres.SCHEMA))
            config = migrations()
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        prepare_engine(url)
        yield found


def fill(ledger: Ledger, queue: Queue) -> None:
    with ledger.write() as connection:
        for statement in ROWS.format(at=AT).split(";"):
            connection.exec_driver_sql(statement)
        for number in range(JOBS):
            state, stage = STAGES[number % 3]
            connection.exec_driver_sql(JOB.format(id=f"j{number}", state=state, stage=stage.value, at=AT))
            queue.stage(connection, work.Ticket(f"j{number}", 1, stage, 1), priority=Priority.ROUTINE)
        connection.exec_driver_sql(DELIVERY.format(at=AT))
        queue.delivery(connection, "d1", destination="pacs", attempt=3, priority=Priority.ROUTINE)


def job_states(ledger: Ledger) -> list[str]:
    with ledger.read() as connection:
        return list(connection.execute(sa.select(schema.job.c.state)).scalars())


def test_a_full_queue_is_worked_off_after_the_upgrade(ledger: Ledger, tmp_path: Path) -> None:
    with closing(Queue(ledger.engine, Bells(tmp_path))) as queue:
        fill(ledger, queue)
        ledger.migrate()

        with ledger.read() as connection:
            delivery = outbox.get_delivery(connection, "d1")
        assert (delivery.state, delivery.attempt) == (DeliveryState.WAITING, 3)
        assert is_live(queue, queue.delivery_id("d1", 3))
    url = ledger.engine.url.render_as_string(hide_password=False)
    command = [*ENDS_WITH_US, sys.executable, "-m", "tests.makers.worker", str(tmp_path), url, "w0", "0"]
    worker = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + LIMIT_S
        while set(job_states(ledger)) != {JobState.ENCODED.value}:
            assert time.monotonic() < deadline, job_states(ledger)
            time.sleep(0.1)
    finally:
        worker.terminate()
        worker.wait(30)
