"""Which part of the body an object is of, and of which side: attributes that archives match queries by."""

from pydicom.dataset import Dataset

from node.results.origin import Origin
from node.results.readable import FUNCTIONAL_GROUPS
from node.results.uids import RenditionKind

PAIRED = frozenset(
    {
        *("ANKLE", "ARM", "AXILLA", "BREAST", "CALCANEUS", "CLAVICLE", "EAR", "ELBOW", "EXTREMITY", "EYE", "EYELID"),
        *("FEMUR", "FIBULA", "FINGER", "FOOT", "FOREARM", "HAND", "HIP", "HUMERUS", "KIDNEY", "KNEE", "LEG", "LUNG"),
        *("OVARY", "PATELLA", "RADIUS", "SCAPULA", "SCJOINT", "ACJOINT", "SHOULDER", "SIJOINT", "THIGH", "THUMB"),
        *("TIBIA", "TMJ", "TOE", "ULNA", "UPARM", "WRIST", "ZYGOMA"),
    }
)
"""Values of Body Part Examined that come in twos (PS3.16 annex L)."""

CODE_STRING = 16
"""Most characters of a body part (PS3.5 table 6.2-1); a longer one ("CHEST_ABDOMEN_PELVIS") counts as not known."""

SIDES = ("L", "R")
PAGES = frozenset({RenditionKind.SUMMARY, RenditionKind.NOTICE_PAGE})
"""Kinds with the General Image module, which state the laterality of the one image."""

AS_THEY_ARE = frozenset({RenditionKind.DERIVED, RenditionKind.RTSTRUCT, RenditionKind.SEG})
"""A derived image is a copy of one that states its own; a structure set's series has no laterality; in a segmentation
each segment states its own side with its anatomic region (decision 0003)."""


def put_anatomy(result: Dataset, origin: Origin, kind: RenditionKind) -> None:
    """Body part and laterality of the source (PS3.3 C.7.3.1, C.7.6.1.1). Laterality is required, and may be present,
    of a paired body part alone; it is empty where it is not known, also because the body part is not."""
    stated, side = origin.text("BodyPartExamined"), origin.text("ImageLaterality") or _side_of_frames(origin.header)
    part = stated if len(stated) <= CODE_STRING else ""
    if part:
        result.BodyPartExamined = part
    if kind in AS_THEY_ARE:
        return
    if kind in PAGES:
        for keyword in ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"):
            if origin.header.get(keyword):
                result[keyword] = origin.header[keyword]
        if side:
            result.ImageLaterality = side
            return
    if part.upper() in PAIRED or not part:
        known = side or origin.text("Laterality")
        result.Laterality = known if known in SIDES else None


def _side_of_frames(header: Dataset) -> str:
    """The one that all frames state in functional groups, where multi-frame images have it (PS3.3 C.7.6.16.2.8)."""
    groups = [group for keyword in FUNCTIONAL_GROUPS for group in header.get(keyword, ())]
    frames = [one for group in groups for one in group.get("FrameAnatomySequence", ())]
    stated = {str(one.get("FrameLaterality") or "") for one in frames}
    return stated.pop() if len(stated) == 1 else ""
