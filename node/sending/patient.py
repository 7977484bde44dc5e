"""Compares whose study a destination takes a study for with what results say, before anything is sent there."""

from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from node.core.identity import Patient, Registered, differing
from node.errors import IsocenterError
from node.sending import qido, query
from node.sending.destination import Destination

KEYS = (
    "PatientID", "IssuerOfPatientID", "AccessionNumber", "PatientName", "PatientBirthDate", "PatientSex",
)  # fmt: skip


def difference(peer: Destination, study_uid: str, result: Path) -> str | None:
    """How the destination's patient or accession differs from those in a result's file, in words without values; None
    where it agrees or does not know the study. Raises NotReached and QueryRefused; IsocenterError where the file cannot
    be read."""
    ours = stated_in(result)
    return next((found for one in registered(peer, study_uid) if (found := differing(ours, one))), None)


def registered(peer: Destination, study_uid: str) -> Sequence[Registered]:
    """What the destination says of each study that it holds under that UID. Raises NotReached and QueryRefused."""
    if peer.web is not None:
        return [_registered(one) for one in qido.studies(peer, study_uid, KEYS)]
    matches = query.find(peer, "STUDY", {"StudyInstanceUID": study_uid, **dict.fromkeys(KEYS, "")})
    return [_registered({keyword: str(match.get(keyword) or "") for keyword in KEYS}) for match in matches]


def stated_in(path: Path) -> Registered:
    """What a file says. Raises IsocenterError where it cannot be read."""
    try:
        found = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(KEYS))
    except (OSError, InvalidDicomError) as error:
        raise IsocenterError(f"{path} cannot be read: {error}") from error
    return _registered({keyword: str(found.get(keyword) or "") for keyword in KEYS})


def _registered(values: dict[str, str]) -> Registered:
    patient_id, issuer, accession, name, birth_date, sex = (values[keyword].strip(" \0") for keyword in KEYS)
    return Registered(Patient.of(patient_id, issuer), accession, name, birth_date, sex)
