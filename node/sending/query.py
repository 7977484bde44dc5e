"""Asks a peer by C-FIND what it holds: instances of series, and what it says of a study (PS3.4 annex C)."""

import io
from collections.abc import Iterable, Mapping

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode

from node.sending.association import Association
from node.sending.destination import Destination, QueryRefused
from node.sending.pdu import Tag

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
C_FIND_RQ, MEDIUM_PRIORITY = 0x0020, 0x0000
CONTEXT = (STUDY_ROOT_FIND, str(ImplicitVRLittleEndian))


def find(peer: Destination, level: str, keys: Mapping[str, str]) -> list[Dataset]:
    """Matches at one level of the Study Root model. keys: by keyword; empty ones are asked for, others are matched.

    Raises AssociationFailed, or QueryRefused where the peer does not answer such queries.
    """
    with Association(peer, [CONTEXT]) as association:
        if CONTEXT in association.accepted:
            return _find(association, level, keys)
    raise _not_accepted(peer)


def instances_held(peer: Destination, study_uid: str, series_uids: Iterable[str]) -> set[str]:
    """SOP Instance UIDs that the peer holds of some series of a study. Raises as `find` does."""
    with Association(peer, [CONTEXT]) as association:
        if CONTEXT in association.accepted:
            held: set[str] = set()
            for series_uid in series_uids:
                keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid, "SOPInstanceUID": ""}
                held |= {str(one.get("SOPInstanceUID", "")) for one in _find(association, "IMAGE", keys)}
            return held
    raise _not_accepted(peer)


def _not_accepted(peer: Destination) -> QueryRefused:
    return QueryRefused(f"{peer.name} does not accept Study Root queries: enable C-FIND there for {peer.our_ae_title}")


def _find(association: Association, level: str, keys: Mapping[str, str]) -> list[Dataset]:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    encoded = encode(identifier, is_implicit_vr=True, is_little_endian=True) or b""
    command: dict[Tag, int | str] = {
        Tag.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_FIND,
        Tag.COMMAND_FIELD: C_FIND_RQ,
        Tag.PRIORITY: MEDIUM_PRIORITY,
    }
    matches = association.query(association.accepted[CONTEXT], command, io.BytesIO(encoded))
    return [decode(io.BytesIO(one), is_implicit_vr=True, is_little_endian=True) for one in matches]
