"""How much is in each state: what an overview and monitoring show."""

from datetime import datetime

import sqlalchemy as sa

from node.core.job import STATE_BEFORE, DeliveryState
from node.state import schema


def count_states(connection: sa.Connection) -> dict[str, dict[str, int]]:
    """How many studies, jobs and deliveries are in each state."""
    found = {}
    for noun, table in (("studies", schema.study), ("jobs", schema.job), ("deliveries", schema.delivery)):
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        found[noun] = {state: int(count) for state, count in connection.execute(query)}
    return found


def queue_lengths(connection: sa.Connection) -> dict[str, int]:
    """What is due now, by what it waits for."""
    state = schema.job.c.state  # which tells the stage: an index counts, and no job's images are read
    jobs = sa.select(state, sa.func.count()).where(state.in_([one.value for one in STATE_BEFORE.values()]))
    counts = {name: int(count) for name, count in connection.execute(jobs.group_by(state))}
    waiting = sa.select(sa.func.count()).where(schema.delivery.c.state.in_(["waiting", "sending"]))
    lengths = {stage.value: counts.get(before.value, 0) for stage, before in STATE_BEFORE.items()}
    return {**lengths, "deliver": int(connection.execute(waiting).scalar_one())}


def waiting_since(connection: sa.Connection) -> dict[str, datetime]:
    """Since when what has waited longest waits, by state: a job for its next stage, a delivery since it was first
    tried. A state in which nothing waits is left out."""
    job, delivery = schema.job.c, schema.delivery.c
    tried = sa.func.coalesce(delivery.first_try_at, delivery.created_at)
    oldest = [sa.select(sa.func.min(job.changed_at)).where(job.state == one.value) for one in STATE_BEFORE.values()]
    oldest.append(sa.select(sa.func.min(tried)).where(delivery.state == DeliveryState.WAITING.value))
    states = [*(one.value for one in STATE_BEFORE.values()), DeliveryState.WAITING.value]
    found = {state: connection.execute(query).scalar_one() for state, query in zip(states, oldest, strict=True)}
    return {state: since for state, since in found.items() if since is not None}
