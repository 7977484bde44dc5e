"""Whose a study is by an operator's word, where a destination has it registered otherwise than its images said."""

from datetime import datetime

import sqlalchemy as sa

from node.core.identity import Patient, Registered
from node.state import schema
from node.state.ledger import note


def correct(connection: sa.Connection, study_id: str, registered: Registered, destination: str, now: datetime) -> None:
    """From now on results of the study state this; what stood there before is replaced. The history has no values."""
    table = schema.correction
    connection.execute(table.delete().where(table.c.study_id == study_id))
    connection.execute(
        table.insert().values(
            study_id=study_id,
            patient_id=registered.patient.patient_id,
            issuer=registered.patient.issuer,
            accession=registered.accession,
            patient_name=registered.patient_name,
            birth_date=registered.birth_date,
            sex=registered.sex,
            destination=destination,
            at=now,
        )
    )
    note(connection, now, "study-corrected", f"patient and order as {destination} has them", study_id=study_id)


def correction_of(connection: sa.Connection, study_id: str) -> Registered | None:
    """What the study's results are to state; None where it is what the images say."""
    table = schema.correction
    row = connection.execute(sa.select(table).where(table.c.study_id == study_id)).first()
    if row is None:
        return None
    return Registered(Patient(row.patient_id, row.issuer), row.accession, row.patient_name, row.birth_date, row.sex)
