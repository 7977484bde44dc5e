"""What an instance says it is, read from its bytes as they pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.core.identity import ClassUID, InstanceUID, SeriesUID, StudyUID, is_uid
from node.errors import DatasetMismatch, Unreadable
from node.intake.walk import name, walk

SOP_CLASS_UID: Final = 0x00080016
SOP_INSTANCE_UID: Final = 0x00080018
ACCESSION_NUMBER: Final = 0x00080050
MODALITY: Final = 0x00080060
PATIENT_ID: Final = 0x00100020
ISSUER_OF_PATIENT_ID: Final = 0x00100021
STUDY_INSTANCE_UID: Final = 0x0020000D
SERIES_INSTANCE_UID: Final = 0x0020000E
_WANTED = frozenset(
    {
        SOP_CLASS_UID, SOP_INSTANCE_UID, ACCESSION_NUMBER, MODALITY, PATIENT_ID, ISSUER_OF_PATIENT_ID,
        STUDY_INSTANCE_UID, SERIES_INSTANCE_UID,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """What the data set says of itself. Text is raw, as its own character set encodes it; None where absent.

    checked_to_end: whether the elements were followed to the last byte, so that nothing can be cut off.
    """

    sop_class_uid: ClassUID
    sop_instance_uid: InstanceUID
    study_uid: StudyUID
    series_uid: SeriesUID
    patient_id: bytes | None
    issuer: bytes | None
    accession_number: bytes | None
    modality: bytes | None
    checked_to_end: bool


class IdentityReader:
    """Reads the identity of a data set from its bytes, in as many pieces as they come.

    No value is decoded. Raises Unreadable, with the element at fault, where the data set is empty, malformed or ends
    before its last element does, or where one of its four UIDs is missing or is no UID; TooLarge where it inflates
    beyond bounds. An encapsulated value without its Sequence Delimitation Item counts as cut off: PS3.5 section A.4
    demands the item, and without it a missing fragment could not be told from a careless sender.
    """

    def __init__(self, transfer_syntax_uid: str) -> None:
        self._walk = walk(transfer_syntax_uid, _WANTED)
        self.feed = self._walk.feed

    def finish(self, size_bytes: int) -> Identity:
        """The identity, now that all `size_bytes` of the data set have passed."""
        if not size_bytes:
            raise Unreadable("the data set is empty: send the instance again")
        self._walk.finish()
        found = {tag: bytes(value) for tag, value in self._walk.found.items()}
        return Identity(
            sop_class_uid=ClassUID(_uid(found, SOP_CLASS_UID)),
            sop_instance_uid=InstanceUID(_uid(found, SOP_INSTANCE_UID)),
            study_uid=StudyUID(_uid(found, STUDY_INSTANCE_UID)),
            series_uid=SeriesUID(_uid(found, SERIES_INSTANCE_UID)),
            patient_id=found.get(PATIENT_ID),
            issuer=found.get(ISSUER_OF_PATIENT_ID),
            accession_number=found.get(ACCESSION_NUMBER),
            modality=found.get(MODALITY),
            checked_to_end=self._walk.checked_to_end,
        )


def check(identity: Identity, command_class: str, command_instance: str) -> None:
    """Raise DatasetMismatch where the data set is not what the C-STORE command, or a file's meta information, said."""
    for tag, ours, theirs in (
        (SOP_CLASS_UID, identity.sop_class_uid, command_class),
        (SOP_INSTANCE_UID, identity.sop_instance_uid, command_instance),
    ):
        if ours != theirs:
            raise DatasetMismatch(
                f"it is announced as {theirs}, and its data set says {ours}: correct the sender, or the file", tag
            )


def _uid(found: Mapping[int, bytes], tag: int) -> str:
    if tag not in found:
        raise Unreadable(f"{name(tag)} is missing: the sender must supply it", tag)
    text = found[tag].decode("latin-1").strip(" \0")
    if not is_uid(text):
        raise Unreadable(f"{name(tag)} is {text[:64]!a}, which is no UID: correct it in the sender", tag)
    return text
