"""A stand-in scanner: sends a study's files as they are, in their own transfer syntax, over one association."""

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom.dsutils import split_dataset

from node.core.identity import InstanceUID
from node.sending.association import Association
from node.sending.destination import Destination
from node.sending.pdu import Tag

C_STORE_RQ, MEDIUM_PRIORITY = 0x0001, 0


def send_study(
    paths: Sequence[Path], host: str, port: int, calling: str, called: str
) -> list[tuple[InstanceUID, int | None]]:
    """Send Part 10 files in their order; for each its SOP Instance UID and the status it was answered with.

    The status is None where the peer accepts no presentation context for the file. Raises AssociationFailed where the
    association cannot be had or is lost, ValueError for more than 128 kinds of SOP class and transfer syntax.
    """
    files = [(path, *split_dataset(path)) for path in paths]
    peer = Destination(name=called, ae_title=called, host=host, port=port, our_ae_title=calling)
    answers: list[tuple[InstanceUID, int | None]] = []
    with Association(peer, list(dict.fromkeys(_kind(meta) for _, meta, _ in files))) as association:
        for path, meta, offset in files:
            status = None
            if _kind(meta) in association.accepted:
                status = _store(association, path, meta, offset)
            answers.append((InstanceUID(str(meta.MediaStorageSOPInstanceUID)), status))
    return answers


def _kind(meta: Dataset) -> tuple[str, str]:
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def _store(association: Association, path: Path, meta: Dataset, offset: int) -> int | None:
    command: dict[Tag, int | str] = {
        Tag.AFFECTED_SOP_CLASS_UID: str(meta.MediaStorageSOPClassUID),
        Tag.COMMAND_FIELD: C_STORE_RQ,
        Tag.PRIORITY: MEDIUM_PRIORITY,
        Tag.AFFECTED_SOP_INSTANCE_UID: str(meta.MediaStorageSOPInstanceUID),
    }
    with path.open("rb") as file:
        file.seek(offset)
        return association.request(association.accepted[_kind(meta)], command, file).status
