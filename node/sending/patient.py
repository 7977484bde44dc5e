"""Compares whose study a destination takes a study for with what the images said, before anything is sent there."""

from node.core.identity import Patient
from node.sending import qido, query
from node.sending.destination import Destination
from node.state.rows import StudyRow

KEYS = ("PatientID", "IssuerOfPatientID", "AccessionNumber")


def difference(peer: Destination, study: StudyRow) -> str | None:
    """How the destination's patient or accession differs, in words without values; None where it agrees or does not
    know the study. Raises NotReached and QueryRefused."""
    for patient_id, issuer, accession in _told(peer, study.study_uid):
        differing = []
        if not Patient.of(patient_id, issuer).same_as(Patient(study.patient_id, study.issuer)):
            differing.append("patient")
        if accession and study.accession and accession != study.accession.strip():
            differing.append("accession number")
        if differing:
            return " and ".join(differing)
    return None


def _told(peer: Destination, study_uid: str) -> list[tuple[str, str, str]]:
    """Patient ID, issuer and accession number of every study of that UID there."""
    if peer.web is not None:
        return [(one[KEYS[0]], one[KEYS[1]], one[KEYS[2]]) for one in qido.studies(peer, study_uid, KEYS)]
    matches = query.find(peer, "STUDY", {"StudyInstanceUID": study_uid, **dict.fromkeys(KEYS, "")})
    told = [tuple(str(match.get(keyword) or "").strip() for keyword in KEYS) for match in matches]
    return [(patient_id, issuer, accession) for patient_id, issuer, accession in told]
