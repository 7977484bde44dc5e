"""How two instances with the same UID differ: a note for the operator, or a reason to hold the study."""

from pathlib import Path

from node.core.study import InstanceFacts
from node.state.arrivals import Conflict
from node.state.digests import pixels_sha256


def compare(
    first: InstanceFacts | None, first_path: Path, second: InstanceFacts | None, second_path: Path
) -> tuple[Conflict, str]:
    """Compare the later one with the first (design section 6), without decoding: that is done in workers alone.

    Where two transfer syntaxes differ, equal pixels cannot be told from unequal ones here, so the study is held.
    """
    if first is None or second is None:
        return Conflict.HELD, "conflict: a second instance with this UID, and one of the two cannot be read"
    if not first.patient.same_as(second.patient):
        return Conflict.HELD, "conflict: the second instance with this UID names another patient"
    if (first.accession_number or "") != (second.accession_number or ""):
        return Conflict.HELD, "conflict: the second instance with this UID has another accession number"
    if first.transfer_syntax_uid != second.transfer_syntax_uid:
        return Conflict.HELD, "conflict: the second instance with this UID came in another transfer syntax"
    digests = pixels_sha256(first_path), pixels_sha256(second_path)
    if None in digests:
        return Conflict.HELD, "conflict: the second instance with this UID is too large to be compared here"
    if digests[0] != digests[1]:
        return Conflict.HELD, "conflict: the second instance with this UID has other pixels"
    return Conflict.NOTED, "the second instance with this UID differs in its header only"
