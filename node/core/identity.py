"""UIDs, AE titles, patients and short ids as checked value types."""

import base64
import re
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

StudyUID = NewType("StudyUID", str)
SeriesUID = NewType("SeriesUID", str)
InstanceUID = NewType("InstanceUID", str)
ClassUID = NewType("ClassUID", str)

UID_PATTERN = re.compile(r"[0-9]+(\.[0-9]+)*")
AE_TITLE_PATTERN = re.compile(r"(?=.*[^ ])[\x20-\x5b\x5d-\x7e]{1,16}")

NAMESPACE = uuid.UUID("6d0e3c52-7f0f-5c63-9c1b-0f4f5f6f8a11")
"""Isocenter's own UUID namespace: every derived UID and id starts from it and never from chance."""


def is_uid(text: str) -> bool:
    """Whether text is a UID: digits and dots, 1 to 64 characters (PS3.5 section 9.1).

    Leading zeros of a component are tolerated: real devices write them.
    """
    return len(text) <= 64 and _is_of_digits_and_dots(text)


@lru_cache(maxsize=256)
def _is_of_digits_and_dots(text: str) -> bool:
    """An instance's UIDs are looked at ten times on its way in, most of them the same as of the instance before it."""
    return UID_PATTERN.fullmatch(text) is not None


def is_ae_title(text: str) -> bool:
    """Whether text is a legal AE title: 1 to 16 printable characters, no backslash, not only blanks (PS3.5 6.2)."""
    return AE_TITLE_PATTERN.fullmatch(text) is not None


@dataclass(frozen=True)
class Patient:
    """Whose study it is: PatientID with its issuer, padding trimmed; empty where absent."""

    patient_id: str
    issuer: str

    @classmethod
    def of(cls, patient_id: str | None, issuer: str | None) -> "Patient":
        return cls((patient_id or "").strip(" \0"), (issuer or "").strip(" \0"))

    def same_as(self, other: "Patient") -> bool:
        """Issuers conflict only when both are present and differ (design section 4)."""
        issuers_agree = not self.issuer or not other.issuer or self.issuer == other.issuer
        return self.patient_id == other.patient_id and issuers_agree


@dataclass(frozen=True)
class Registered:
    """Whose study it is, and for which order, as a destination has it registered; empty where it does not say.

    birth_date: YYYYMMDD. sex: M, F or O. patient_name: components separated by ^.
    """

    patient: Patient
    accession: str
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""


def differing(ours: Registered, theirs: Registered) -> str:
    """Which of patient and accession number differ, in words without values; empty where both agree. An accession
    number that one side does not state differs from none."""
    found = [] if ours.patient.same_as(theirs.patient) else ["patient"]
    if ours.accession and theirs.accession and ours.accession != theirs.accession:
        found.append("accession number")
    return " and ".join(found)


@dataclass(frozen=True)
class Differing:
    """What a delivery's results say of patient and order, and what its destination has registered."""

    destination: str
    ours: Registered
    theirs: Registered

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """Each fact: what it is, as the results say it, and as the destination has it."""
        ours, theirs = self.ours, self.theirs
        return (
            ("patient id", ours.patient.patient_id, theirs.patient.patient_id),
            ("issuer", ours.patient.issuer, theirs.patient.issuer),
            ("name", ours.patient_name, theirs.patient_name),
            ("birth date", ours.birth_date, theirs.birth_date),
            ("sex", ours.sex, theirs.sex),
            ("accession number", ours.accession, theirs.accession),
        )

    @property
    def mark(self) -> str:
        """By which it is seen whether what a person was shown still holds."""
        return str(derived_uuid(self.destination, *(text for row in self.rows for text in row)))


def derived_uuid(*parts: str) -> uuid.UUID:
    """UUIDv5 of the parts, in Isocenter's namespace; parts are length-prefixed so that they cannot run together."""
    return uuid.uuid5(NAMESPACE, "".join(f"{len(part)}:{part}" for part in parts))


def derived_uid(*parts: str) -> str:
    """A DICOM UID under 2.25 derived from the parts (PS3.5 section B.2): the same parts, the same UID."""
    return f"2.25.{derived_uuid(*parts).int}"


def short_id(prefix: str, *parts: str) -> str:
    """A short id for people: a letter and eight characters derived from the parts."""
    text = base64.b32encode(derived_uuid(*parts).bytes).decode("ascii").lower()
    return f"{prefix}{text[:8]}"
