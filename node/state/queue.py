"""Enqueues stages and deliveries inside the ledger's own transaction: truth and queue change together, or neither."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions

from node.core.batches import in_batches
from node.core.job import Priority, Stage
from node.state import work
from node.state.bells import Bells
from node.state.database import writing
from node.state.rows import DeliveryRow, JobRow

PROTOCOL = "isocenter-1"
"""The engine's application version: a constant, so that an upgrade does not strand what is queued. Change it only
when a stage's arguments change."""

DELIVER = "deliver"
REPLACE = "replace"
NOTICE = "notice"
REJECT = "reject"
QUEUE_OF: dict[str, str] = {
    Stage.PREPARE.value: "cpu",
    Stage.ENCODE.value: "cpu",
    Stage.INFER.value: "model",
    REPLACE: "cpu",
    NOTICE: "cpu",
    REJECT: "cpu",
    DELIVER: "deliver",
}
"""Which queue each workflow waits in: by what it needs, a processor, a model worker, or a destination's line."""

ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_DUE = "isocenter-due"
"""In a connection's notes: for which queues something was enqueued in its transaction."""
ASKED_AT_ONCE = 500
FORGOTTEN_AT_ONCE = 200
"""So many workflows are removed in one transaction: a long one would make stages wait."""


class Queue:
    """What is due next, durably: in the engine's own tables, which lie beside ours in the same database.

    bells: rung for what a transaction has enqueued, once it is over.
    """

    def __init__(self, engine: sa.Engine, bells: Bells) -> None:
        self._bells = bells
        sa.event.listen(engine, "checkin", self._ring)  # the first moment at which others see the transaction
        self._client = DBOSClient(
            system_database_engine=engine,
            serializer=DBOSPortableJSONSerializer(),
            lazy=True,
            retry_connection_errors=False,
        )

    def stage(
        self,
        connection: sa.Connection,
        ticket: work.Ticket,
        *,
        priority: Priority,
        after: timedelta = timedelta(0),
    ) -> None:
        """Enqueue one stage of a job; the id carries run, stage and turn, so that a retry is not a no-op."""
        options = self._options(ticket.stage.value, self.stage_id(ticket), priority, after)
        self._enqueue(connection, options, ticket.job_id, ticket.run, ticket.turn)

    def stage_again(self, connection: sa.Connection, job: JobRow, now: datetime) -> bool:
        """Enqueue the stage at which a job stands once more, in its next turn; False where the job has moved on."""
        again = work.next_turn(connection, job, work.ticket_of(job), now)
        if again is not None:
            self.stage(connection, again, priority=job.priority)
        return again is not None

    def delivery(
        self,
        connection: sa.Connection,
        delivery_id: str,
        *,
        destination: str,
        attempt: int,
        priority: Priority,
        after: timedelta = timedelta(0),
    ) -> None:
        """Enqueue one attempt of a delivery, in the line of its destination."""
        options = self._options(DELIVER, self.delivery_id(delivery_id, attempt), priority, after)
        options["queue_partition_key"] = destination
        self._enqueue(connection, options, delivery_id, attempt)

    def next_attempt(
        self, connection: sa.Connection, delivery: DeliveryRow, *, after: timedelta = timedelta(0)
    ) -> None:
        """Enqueue the attempt that follows those a delivery has had, in the transaction that records why."""
        self.delivery(
            connection,
            delivery.id,
            destination=delivery.destination,
            attempt=delivery.attempt + 1,
            priority=work.get_job(connection, delivery.job_id).priority,
            after=after,
        )

    def replacement(self, connection: sa.Connection, delivery: DeliveryRow, *, priority: Priority) -> None:
        """Enqueue the encoding of a delivery's run in the form that its destination takes; asked twice, done once."""
        workflow_id = f"{delivery.id}:{REPLACE}:{delivery.attempt}"
        options = self._options(REPLACE, workflow_id, priority, timedelta(0))
        self._enqueue(connection, options, delivery.job_id, delivery.run, delivery.attempt)

    def rejection(self, connection: sa.Connection, delivery: DeliveryRow, *, priority: Priority) -> None:
        """Enqueue the note on what an accepted delivery replaced there; asked twice for one attempt, done once."""
        options = self._options(REJECT, f"{delivery.id}:{REJECT}:{delivery.attempt}", priority, timedelta(0))
        self._enqueue(connection, options, delivery.job_id, delivery.run, delivery.attempt)

    def notice(self, connection: sa.Connection, job: JobRow, *, turn: int) -> None:
        """Enqueue the notice that a job's images were not analysed; asked twice for one turn, done once."""
        options = self._options(NOTICE, f"{job.id}:{job.run}:{NOTICE}:{turn}", job.priority, timedelta(0))
        self._enqueue(connection, options, job.id, job.run, turn)

    @staticmethod
    def stage_id(ticket: work.Ticket) -> str:
        """The workflow's id: what the compare-and-set of the ledger compares, too."""
        return f"{ticket.job_id}:{ticket.run}:{ticket.stage.value}:{ticket.turn}"

    @staticmethod
    def delivery_id(delivery_id: str, attempt: int) -> str:
        """The workflow's id of one attempt of a delivery."""
        return f"{delivery_id}:{attempt}"

    def live(self, workflows: Mapping[str, datetime | None]) -> set[str]:
        """Which of these wait, are delayed or run; of those with a time, only if a process was handed it since then."""
        found, ids = set(), list(workflows)
        for some in in_batches(ids, ASKED_AT_ONCE):
            for one in self._client.list_workflows(workflow_ids=list(some), load_input=False, load_output=False):
                since = workflows[one.workflow_id]
                since_ms = 0 if since is None else since.timestamp() * 1000
                is_handed_out = one.status == "PENDING" and (one.dequeued_at or 0) >= since_ms
                if is_handed_out or one.status in ("ENQUEUED", "DELAYED"):
                    found.add(one.workflow_id)
        return found

    def hasten(self, by: timedelta) -> None:
        """What is delayed is due so much earlier: the clock by which it waits was set back."""
        by_ms = int(by.total_seconds() * 1000)
        system = self._client._sys_db  # noqa: SLF001  its own call takes one at a time, of thousands
        table = system.tables.workflow_status
        due_ms = table.c.delay_until_epoch_ms
        sooner = sa.case((due_ms > by_ms, due_ms - by_ms), else_=0)
        with writing(system.engine).begin() as connection:
            connection.execute(table.update().where(table.c.status == "DELAYED").values(delay_until_epoch_ms=sooner))

    def forget(self, before: datetime) -> int:
        """Remove the engine's rows of workflows that ended before then, never of one that waits or runs; returns how
        many. An id that were used again would be refused by the ledger's compare-and-set, as a stale one is."""
        count = 0
        while True:
            found = self._client.list_workflows(
                status=ENDED,
                completed_before=before.isoformat(),
                limit=FORGOTTEN_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            if not found:
                return count
            self._client.delete_workflows([one.workflow_id for one in found])
            count += len(found)

    def _enqueue(self, connection: sa.Connection, options: EnqueueOptions, *arguments: str | int) -> None:
        self._client.enqueue_in_transaction(connection, options, *arguments)
        connection.info.setdefault(_DUE, set()).add(options["queue_name"])

    def _ring(self, _connection: Any, record: sa.pool.ConnectionPoolEntry) -> None:
        """After a transaction that was undone, too: whoever looks finds nothing."""
        for name in record.info.pop(_DUE, ()):
            self._bells.ring(name)

    def _options(self, name: str, workflow_id: str, priority: Priority, after: timedelta) -> EnqueueOptions:
        """Of the same priority, what was begun goes before what was not: the first of many studies has its results
        while the last waits to be read."""
        options: EnqueueOptions = {
            "workflow_name": name,
            "queue_name": QUEUE_OF[name],
            "workflow_id": workflow_id,
            "app_version": PROTOCOL,
            "priority": 2 * int(priority) - (name != Stage.PREPARE.value),
        }
        if after > timedelta(0):
            options["delay_seconds"] = after.total_seconds()
        return options

    def close(self) -> None:
        self._client.destroy()
