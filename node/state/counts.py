"""How much is in each state: what an overview and monitoring show."""

import sqlalchemy as sa

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
    jobs = sa.select(schema.job.c.stage, sa.func.count()).where(
        schema.job.c.state.in_(["queued", "prepared", "inferred"])
    )
    lengths = {stage: int(count) for stage, count in connection.execute(jobs.group_by(schema.job.c.stage))}
    waiting = sa.select(sa.func.count()).where(schema.delivery.c.state.in_(["waiting", "sending"]))
    lengths["deliver"] = int(connection.execute(waiting).scalar_one())
    return {name: lengths.get(name, 0) for name in ("prepare", "infer", "encode", "deliver")}
