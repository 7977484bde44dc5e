"""Compares whose study a destination takes a study for with what the images said, before anything is sent there."""

from node.core.identity import Patient
from node.sending.destination import Destination
from node.sending.query import find
from node.state.rows import StudyRow

KEYS = ("PatientID", "IssuerOfPatientID", "AccessionNumber")


def difference(peer: Destination, study: StudyRow) -> str | None:
    """How the destination's patient or accession differs, in words without values; None where it agrees or does not
    know the study. Raises AssociationFailed and QueryRefused."""
    for match in find(peer, "STUDY", {"StudyInstanceUID": study.study_uid, **dict.fromkeys(KEYS, "")}):
        patient_id, issuer, accession = (str(match.get(keyword) or "").strip() for keyword in KEYS)
        differing = []
        if not Patient.of(patient_id, issuer).same_as(Patient(study.patient_id, study.issuer)):
            differing.append("patient")
        if accession and study.accession and accession != study.accession.strip():
            differing.append("accession number")
        if differing:
            return " and ".join(differing)
    return None
