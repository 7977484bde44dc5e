"""An upgrade keeps what waits: a node of the first version had a job and a delivery in its queues."""

from contextlib import closing
from pathlib import Path

from alembic import command

from node.core.job import DeliveryState, JobState, Priority, Stage
from node.jobs.engine import prepare_engine
from node.state import outbox, work
from node.state.database import _alembic, writing
from node.state.ledger import Ledger
from node.state.queue import Queue

ROWS = """
INSERT INTO iso_study (id, study_uid, patient_id, issuer, state, why, calling_ae, called_ae, association_id,
    first_at, last_at, generation, incomplete, ordered)
VALUES ('s1', '1.2', 'P', '', 'complete', '', 'A', 'B', 'a', '2026-03-01 08:00:00.000000',
    '2026-03-01 08:00:00.000000', 1, 0, 0);
INSERT INTO iso_instance (study_id, sop_uid, series_uid, sop_class_uid, transfer_syntax_uid, kind, sha256, size_bytes,
    path, in_force, received_at, association_id, why)
VALUES ('s1', '1.2.3', '1.2', '1.2', '1.2', 'image', '00', 1, 'x', 1, '2026-03-01 08:00:00.000000', 'a', '');
INSERT INTO iso_job (id, key, study_id, route, model, model_version, model_digest, input_digest, inputs, destinations,
    incomplete, priority, state, stage, run, turn, message, created_at, changed_at)
VALUES ('j1', 'k', 's1', 'r', 'm', '1', 'd', 'i', '{}', '[]', 0, 3, 'prepared', 'infer', 1, 1, '',
    '2026-03-01 08:00:00.000000', '2026-03-01 08:00:00.000000');
INSERT INTO iso_delivery (id, job_id, run, destination, state, attempt, created_at, changed_at, message)
VALUES ('d1', 'j1', 1, 'pacs', 'waiting', 3, '2026-03-01 08:00:00.000000', '2026-03-01 08:00:00.000000', '')
"""
"""As the first version wrote them."""


def test_what_waits_is_there_after_the_upgrade(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with closing(Ledger(url)) as ledger, closing(Queue(ledger.engine)) as queue:
        config = _alembic()
        with writing(ledger.engine).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        prepare_engine(url)
        with ledger.write() as connection:
            for statement in ROWS.split(";"):
                connection.exec_driver_sql(statement)
            queue.stage(connection, "j1", run=1, stage=Stage.INFER, turn=1, priority=Priority.ROUTINE)
            queue.delivery(connection, "d1", destination="pacs", attempt=3, priority=Priority.ROUTINE)

        ledger.migrate()

        with ledger.read() as connection:
            job, delivery = work.get_job(connection, "j1"), outbox.get_delivery(connection, "d1")
        assert (job.state, delivery.state, delivery.attempt) == (JobState.PREPARED, DeliveryState.WAITING, 3)
        assert queue.is_live(queue.stage_id("j1", 1, Stage.INFER, 1))
        assert queue.is_live(queue.delivery_id("d1", 3))
