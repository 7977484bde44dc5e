"""What a destination's answers to a probe propose for its table in peers.toml."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from node.sending.destination import ProbeReport


@dataclass(frozen=True)
class Asked:
    """A SOP class that a probe asks for, and what of ours depends on it."""

    uid: str
    name: str
    use: str


SEGMENTATION = Asked("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation", "seg")
LABELMAP = Asked("1.2.840.10008.5.1.4.1.1.66.7", "Label Map Segmentation", 'segmentation = "labelmap"')
COMPREHENSIVE = Asked("1.2.840.10008.5.1.4.1.1.88.33", "Comprehensive SR", "sr")
COMPREHENSIVE_3D = Asked("1.2.840.10008.5.1.4.1.1.88.34", "Comprehensive 3D SR", 'sr = "comprehensive3d"')
TEXT = Asked("1.2.840.10008.5.1.4.1.1.88.11", "Basic Text SR", "text, notices")
CAPTURE = Asked("1.2.840.10008.5.1.4.1.1.7", "Secondary Capture", "summary, notices")

FURTHER = (
    Asked("1.2.840.10008.5.1.4.1.1.11.1", "Grayscale Softcopy Presentation State", "gsps"),
    Asked("1.2.840.10008.5.1.4.1.1.30", "Parametric Map", "map"),
    Asked("1.2.840.10008.5.1.4.1.1.88.59", "Key Object Selection", "ko"),
    Asked("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF", "pdf"),
    Asked("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set", "rtstruct"),
)
"""Renditions of one SOP class each, which nothing else depends on."""

DERIVED = (
    Asked("1.2.840.10008.5.1.4.1.1.2", "CT Image", "derived"),
    Asked("1.2.840.10008.5.1.4.1.1.4", "MR Image", "derived"),
    Asked("1.2.840.10008.5.1.4.1.1.128", "Positron Emission Tomography Image", "derived"),
    Asked("1.2.840.10008.5.1.4.1.1.1", "Computed Radiography Image", "derived"),
    Asked("1.2.840.10008.5.1.4.1.1.1.1", "Digital X-Ray Image - For Presentation", "derived"),
    Asked("1.2.840.10008.5.1.4.1.1.1.2", "Digital Mammography X-Ray Image - For Presentation", "derived"),
)
"""Derived images are of their source's class: one that takes any of these takes those of what it sends."""

ASKED: tuple[Asked, ...] = (
    SEGMENTATION,
    LABELMAP,
    COMPREHENSIVE,
    COMPREHENSIVE_3D,
    TEXT,
    CAPTURE,
    *FURTHER,
    *DERIVED,
)
"""In the order in which they are shown."""


@dataclass(frozen=True)
class Proposal:
    """Lines for the peer's table, and what a person should know of it."""

    lines: tuple[str, ...]
    notes: tuple[str, ...]


def propose(report: ProbeReport, deflated: Collection[str] = ()) -> Proposal:
    """The richest profile that the destination takes. It was asked for every class of ASKED.

    deflated: SOP classes that it takes deflated, too.
    """
    taken = {uid for uid, syntaxes in report.accepted if syntaxes}
    has_report = bool({COMPREHENSIVE.uid, COMPREHENSIVE_3D.uid} & taken)
    has_segments = bool({SEGMENTATION.uid, LABELMAP.uid} & taken)
    renditions = [
        name
        for name, is_taken in (
            ("seg", has_segments),
            ("sr", has_report),
            ("text", TEXT.uid in taken),
            ("summary", CAPTURE.uid in taken),
            *((one.use, one.uid in taken) for one in FURTHER),
            ("derived", any(one.uid in taken for one in DERIVED)),
        )
        if is_taken
    ]
    lines = [f"renditions = {json.dumps(renditions)}"]
    if has_report and COMPREHENSIVE.uid not in taken:
        lines.append('sr = "comprehensive3d"')
    if LABELMAP.uid in taken:
        lines.append(f'segmentation = "{"auto" if SEGMENTATION.uid in taken else "labelmap"}"')
    return Proposal(tuple(lines), tuple(_notes(taken, renditions, deflated)))


def _notes(taken: set[str], renditions: Sequence[str], deflated: Collection[str]) -> list[str]:
    notes = []
    if not renditions:
        notes.append("It takes nothing of ours: allow storage for this node's AE title there.")
    elif not {"text", "summary"} & set(renditions):
        notes.append("It takes nothing that every viewer shows: allow Basic Text SR or Secondary Capture there.")
    if LABELMAP.uid in taken:
        notes.append("An archive that takes label maps need not have viewers that show them: look before you use it.")
    if taken.intersection(deflated):
        notes.append(
            'It takes segmentations deflated, which are smaller: syntaxes = ["explicit", "implicit", "deflated"]. '
            "Its viewers need not show them: look before you use it."
        )
    return notes
