"""How much is in each state: what an overview and monitoring show."""

import sqlalchemy as sa

from node.core.job import STATE_BEFORE
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
