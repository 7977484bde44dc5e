"""What of a run can be drawn on the source's images: a line or a point, on which slice, and what it is."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ai.contract import ModelCard
from ai.findings import Findings
from ai.masks import voxels_by_slice
from node.results.contours import contours_of
from node.results.outlined import Outlined, outlines_of
from node.results.pictures import DETECTION_COLOUR, Colour
from node.results.wording import present_segments, shown_score


@dataclass(frozen=True)
class Drawing:
    """One finding as it is drawn. outlined: on several slices where it crosses them.

    tracking_key: under which the run's tracking UID is derived. words: beside it, empty where its colour says it all.
    """

    tracking_key: str
    label: str
    words: str
    colour: Colour
    outlined: tuple[Outlined, ...]


def drawings_of(findings: Findings, card: ModelCard, *, segments: bool) -> Iterator[Drawing]:
    """Detections, and the outline of every segment on every slice where `segments` are drawn too."""
    if segments:
        for declared in present_segments(findings, card):
            found = findings.segment(declared.key)
            assert found is not None  # noqa: S101  it is among the present ones
            reached = np.flatnonzero(voxels_by_slice(found.mask))
            lines = [Outlined(int(index), line) for index in reached for line in contours_of(found.mask[index])]
            yield Drawing(declared.key, declared.label, "", declared.colour_rgb, tuple(lines))
    for number, one in enumerate(findings.detections, 1):
        label = card.detection(one.key).label
        words = f"{number}: {label}" if one.score is None else f"{number}: {label} {shown_score(one.score):.2f}"
        yield Drawing(f"{one.key}/{number}", label, words, DETECTION_COLOUR, tuple(outlines_of(one)))
