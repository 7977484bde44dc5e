"""Which presentation contexts the node accepts."""

from collections.abc import Iterable

from pydicom.uid import UID
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.presentation import PresentationContext

from node.core.admission import Accepted
from node.state.transaction import PUSH_MODEL_CLASS

VERIFICATION = "1.2.840.10008.1.1"

RETIRED_STORAGE_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image
        "1.2.840.10008.5.1.4.1.1.5",  # Nuclear Medicine Image
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image
        "1.2.840.10008.5.1.4.1.1.8",  # Standalone Overlay
        "1.2.840.10008.5.1.4.1.1.9",  # Standalone Curve
        "1.2.840.10008.5.1.4.1.1.10",  # Standalone Modality LUT
        "1.2.840.10008.5.1.4.1.1.11",  # Standalone VOI LUT
        "1.2.840.10008.5.1.4.1.1.12.3",  # X-Ray Angiographic Bi-Plane Image
        "1.2.840.10008.5.1.4.1.1.77.1",  # VL Image, trial
        "1.2.840.10008.5.1.4.1.1.77.2",  # VL Multi-frame Image, trial
        "1.2.840.10008.5.1.4.1.1.129",  # Standalone PET Curve
    }
)
"""Old archives still send these with the rest of a study (PS3.6 table A-1, retired)."""

STORAGE_CLASSES = (
    frozenset(str(one.abstract_syntax) for one in AllStoragePresentationContexts) | RETIRED_STORAGE_CLASSES
)

PIXELS_ELSEWHERE = frozenset(
    {
        "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.4.205",
        "1.2.840.10008.1.2.7.1", "1.2.840.10008.1.2.7.2", "1.2.840.10008.1.2.7.3",
    }
)  # fmt: skip
"""JPIP and SMPTE ST 2110: the pixels stay with the sender or come by another stream, so the study would be empty."""

TRANSFER_SYNTAXES = frozenset(ALL_TRANSFER_SYNTAXES) - PIXELS_ELSEWHERE
UNCOMPRESSED = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})


def settle(proposed: Iterable[PresentationContext], rights: Accepted) -> list[PresentationContext]:
    """Choose a transfer syntax for each context of a proposal, and give what the node supports of it.

    Each context gets the first of *its own* syntaxes that the node knows, not the node's favourite: senders list the
    syntax in which they hold the images first, and what is kept as it lies in the archive loses nothing. The library
    knows one list for each abstract syntax; so the proposed contexts themselves are narrowed to what was chosen.
    Storage is for those who may send, storage commitment for those who take part in it, verification for everybody.
    """
    supported: dict[str, set[str]] = {}
    for context in proposed:
        chosen = _chosen(context, rights)
        if chosen is not None:
            context.transfer_syntax = [chosen]
            supported.setdefault(str(context.abstract_syntax), set()).add(chosen)
    return [_context(abstract, sorted(chosen), rights) for abstract, chosen in supported.items()]


def _chosen(context: PresentationContext, rights: Accepted) -> str | None:
    abstract = str(context.abstract_syntax)
    known: frozenset[str] = frozenset()
    if abstract == VERIFICATION:
        known = UNCOMPRESSED
    elif rights.may_send and abstract in STORAGE_CLASSES:
        known = TRANSFER_SYNTAXES
    elif abstract == PUSH_MODEL_CLASS and (rights.may_report or rights.may_ask):
        known = UNCOMPRESSED
    return next((str(one) for one in context.transfer_syntax if one in known), None)


def _context(abstract_syntax: str, transfer_syntaxes: Iterable[str], rights: Accepted) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(abstract_syntax)
    context.transfer_syntax = [UID(one) for one in transfer_syntaxes]
    if abstract_syntax == PUSH_MODEL_CLASS:
        context.scu_role, context.scp_role = rights.may_ask, rights.may_report
    return context
