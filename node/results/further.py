"""Kinds of results that not every run has, or not every destination asks for: how each is made, and how checked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from ai.findings import Findings
from ai.volume import Volume
from node.results.derived import build_derived, check_derived
from node.results.keynote import build_key_note, check_key_note
from node.results.maps import build_maps, check_map
from node.results.presentation import build_presentations, check_presentation
from node.results.stamp import Edition
from node.results.structures import build_structures, check_structures
from node.results.uids import RenditionKind


@dataclass(frozen=True)
class Further:
    """One kind. build: its objects with the names of their files, none where the run has nothing for it. check: an
    object read back; raises ResultUnsound."""

    kind: RenditionKind
    build: Callable[[Findings, Edition, Volume], Iterator[tuple[str, Dataset]]]
    check: Callable[[Path, Dataset, Findings, Edition, Volume], None]


def _build_pdf(findings: Findings, edition: Edition, volume: Volume) -> Iterator[tuple[str, Dataset]]:
    from node.results.pdf import build_pdf  # half a second to import, and few destinations ask for plots

    return build_pdf(findings, edition, volume)


def _check_pdf(path: Path, found: Dataset, findings: Findings, edition: Edition, volume: Volume) -> None:
    from node.results.pdf import check_pdf

    check_pdf(path, found, findings, edition, volume)


EVIDENCE = (
    Further(RenditionKind.MAP, build_maps, check_map),
    Further(RenditionKind.DERIVED, build_derived, check_derived),
)
"""Made before the report, which names them."""

COMPANIONS = (
    Further(RenditionKind.GSPS, build_presentations, check_presentation),
    Further(RenditionKind.KO, build_key_note, check_key_note),
    Further(RenditionKind.RTSTRUCT, build_structures, check_structures),
    Further(RenditionKind.PDF, _build_pdf, _check_pdf),
)
"""Made last: they refer to the source alone."""
