"""What a probe proposes: everything the destination takes, and nothing that it would refuse."""

import pytest

from node.sending.destination import ProbeReport
from node.sending.proposal import (
    ASKED,
    COMPREHENSIVE,
    COMPREHENSIVE_3D,
    DERIVED,
    FURTHER,
    LABELMAP,
    SEGMENTATION,
    TEXT,
    propose,
)

IMPLICIT = "1.2.840.10008.1.2"


def answered(*taken: str) -> ProbeReport:
    return ProbeReport(True, "", tuple((one.uid, (IMPLICIT,) if one.uid in taken else ()) for one in ASKED))


@pytest.mark.parametrize(
    ("taken", "lines"),
    [
        ((SEGMENTATION, COMPREHENSIVE, TEXT), ['renditions = ["seg", "sr", "text"]']),
        ((COMPREHENSIVE_3D, TEXT), ['renditions = ["sr", "text"]', 'sr = "comprehensive3d"']),
        ((LABELMAP, TEXT), ['renditions = ["seg", "text"]', 'segmentation = "labelmap"']),
        ((SEGMENTATION, LABELMAP), ['renditions = ["seg"]', 'segmentation = "auto"']),
        ((TEXT, *FURTHER), ['renditions = ["text", "gsps", "map", "ko", "pdf", "rtstruct"]']),
        ((TEXT, DERIVED[1]), ['renditions = ["text", "derived"]']),
        ((), ["renditions = []"]),
    ],
)
def test_the_proposal_is_what_the_destination_takes(taken: tuple, lines: list[str]) -> None:
    """The older class of reports is kept where both are taken: more viewers know it."""
    assert list(propose(answered(*(one.uid for one in taken))).lines) == lines


def test_a_destination_that_takes_segmentations_deflated_is_told() -> None:
    """Whether its viewers show them no answer says, so that a person decides."""
    (note,) = propose(answered(SEGMENTATION.uid, TEXT.uid), {SEGMENTATION.uid}).notes

    assert 'syntaxes = ["explicit", "implicit", "deflated"]' in note


def test_a_destination_that_no_viewer_can_read_from_is_told() -> None:
    """Segments and reports alone are shown by few viewers."""
    (note,) = propose(answered(SEGMENTATION.uid, COMPREHENSIVE.uid)).notes

    assert "every viewer" in note
