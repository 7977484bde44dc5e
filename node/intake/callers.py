"""Moves the records of associations that ended from the spool into the ledger, where the operator sees them."""

from collections.abc import Sequence

import sqlalchemy as sa

from node.core.batches import in_batches
from node.state import schema
from node.state.associations import AssociationRecord, Associations
from node.state.ledger import Ledger

AT_ONCE = 500
"""In a transaction: after days without a database there are more than fit into one statement."""


def keep_ended(ledger: Ledger, associations: Associations) -> list[AssociationRecord]:
    """Record every association that ended, then forget its file; doing so twice changes nothing. Returns those that
    were new to the ledger."""
    ended = [record for record in associations.records() if not record.is_open]
    return [new for some in in_batches(ended, AT_ONCE) for new in _keep(ledger, associations, some)]


def _keep(ledger: Ledger, associations: Associations, ended: Sequence[AssociationRecord]) -> list[AssociationRecord]:
    with ledger.write() as connection:
        ids = [record.id for record in ended]
        query = sa.select(schema.association.c.id).where(schema.association.c.id.in_(ids))
        known = set(connection.execute(query).scalars())
        new = [record for record in ended if record.id not in known]
        for record in new:
            connection.execute(
                schema.association.insert().values(
                    id=record.id,
                    calling_ae=record.calling_ae,
                    called_ae=record.called_ae,
                    address=record.address,
                    started_at=record.started_at,
                    ended_at=record.ended_at,
                    outcome=record.outcome.value,
                    why=record.why,
                    stored=record.stored,
                    refused=record.refused,
                )
            )
    for record in ended:
        associations.remove(record)
    return new
