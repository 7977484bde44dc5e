"""Findings in, DICOM files out: makes the result objects of a run, checks them, and names them in sending order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ai.contract import ModelCard
from ai.findings import Findings
from ai.volume import Volume
from node.core.identity import InstanceUID, Registered
from node.core.study import SourceGrid
from node.errors import ResultUnsound
from node.results import corrected
from node.results.catalogue import check_catalogue
from node.results.checks import check_common, check_page, read_back
from node.results.drawn import check_inside
from node.results.further import COMPANIONS, EVIDENCE, Further
from node.results.origin import read_origin
from node.results.outlined import outlines_of
from node.results.overlay import draw_overlay
from node.results.profile import Predecessor, Profile
from node.results.report import build_report
from node.results.report_check import check_report
from node.results.result import ResultObject
from node.results.segmentation import build_segmentation
from node.results.segmentation_check import check_segmentation
from node.results.stamp import Edition
from node.results.summary import build_summary
from node.results.text import build_text
from node.results.uids import RenditionKind, RunIdentity
from node.results.wording import MeasurementRow, is_ascii, measurement_rows, too_large

__all__ = [
    "MeasurementRow",
    "Predecessor",
    "Profile",
    "RenditionKind",
    "ResultObject",
    "RunIdentity",
    "draw_overlay",
    "encode",
    "measurement_rows",
]


def encode(
    findings: Findings,
    card: ModelCard,
    grid: SourceGrid,
    source_paths: Mapping[InstanceUID, Path],
    run: RunIdentity,
    folder: Path,
    *,
    volume: Volume,
    profile: Profile | None = None,
    route: str = "",
    predecessors: Sequence[Predecessor] = (),
    registered: Registered | None = None,
) -> tuple[ResultObject, ...]:
    """Write what the profile asks for into `folder`, which exists: seg.dcm (where anything was found), text.dcm,
    summary/0001.dcm ..., sr.dcm and further kinds, as far as the run has them; returns them in sending order.

    volume: the reference input, on `grid`. profile: the forms asked for, else the usual ones. route: named on the
    summary's first page. predecessors: documents of earlier runs that these replace. registered: whose study it is, if
    that was corrected since the images were made. The same run gives the same bytes.
    Raises ResultUnsound where findings and source do not fit, or an object read back differs from them;
    IsocenterError where the source has no geometry or cannot be read; CardInvalid where the card lacks a finding.
    """
    profile = profile or Profile()
    _check_fit(findings, card, grid, volume)
    edition = Edition(
        origin=read_origin(grid, source_paths, registered),
        card=card,
        run=replace(run, variant=profile.variant),
        route=route,
        as_unicode=not (is_ascii(findings, card, *grid.notes) and corrected.is_ascii(registered)),
        profile=profile,
        predecessors=tuple(predecessors),
    )
    return _Writer(findings, edition, volume, folder).objects()


def _check_fit(findings: Findings, card: ModelCard, grid: SourceGrid, volume: Volume) -> None:
    shape = (len(grid.frames), grid.rows, grid.columns)
    if volume.array.shape != shape:
        raise ResultUnsound(
            f"series {grid.series_uid}: its volume has the shape {volume.array.shape}, its grid {shape}"
        )
    for segment in findings.segments:
        card.segment(segment.key)
        if segment.mask.shape != shape or segment.grid != card.reference:
            raise ResultUnsound(
                f"segment {segment.key!r}: its mask is on {segment.grid!r} with the shape {segment.mask.shape}; "
                f"results go on {card.reference!r}, {shape}"
            )
    for detection in findings.detections:
        if detection.grid != card.reference:  # its points mean another place in these images
            raise ResultUnsound(
                f"detection {detection.key!r} is on {detection.grid!r}; results go on {card.reference!r}"
            )
        check_inside(outlines_of(detection), grid)
    maps = [(card.map(one.key).key, one.grid, one.values.shape) for one in findings.maps]
    series = [(card.derived_series(one.key).key, one.grid, one.values.shape) for one in findings.derived]
    for key, on_grid, found in (*maps, *series):
        if (on_grid, found) != (card.reference, shape):
            raise ResultUnsound(
                f"{key!r} is on {on_grid!r} with the shape {found}; results go on {card.reference!r}, {shape}"
            )


class _Writer:
    """Writes the objects of one edition in sending order: what is referred to goes first, and each is checked."""

    def __init__(self, findings: Findings, edition: Edition, volume: Volume, folder: Path) -> None:
        self._findings, self._edition, self._volume, self._folder = findings, edition, volume, folder
        self._known = {*edition.origin.instances, *(uid for _, uid, _ in edition.origin.grid.further)}
        self._known.update(one.sop_instance_uid for one in edition.predecessors)
        self._known.add(InstanceUID(edition.origin.grid.study_uid))  # structure sets refer to it as if to an object
        self._made: list[ResultObject] = []

    def objects(self) -> tuple[ResultObject, ...]:
        """All that the profile asks for, as far as the run has it. The report comes last: it names all the others."""
        findings, edition, wanted = self._findings, self._edition, self._edition.profile.renditions
        segmentation = None
        if RenditionKind.SEG in wanted and not edition.origin.is_flat:
            segmentation = build_segmentation(findings, edition)
        if segmentation is not None:
            segmentation = self._written(segmentation)
            findings, edition = self._findings, self._edition
        self._write_further(EVIDENCE)
        if RenditionKind.TEXT in wanted:
            self._write(RenditionKind.TEXT, build_text(findings, edition, self._made), "text")
        if RenditionKind.SUMMARY in wanted:
            self._write_summary()
        self._write_further(COMPANIONS)
        if RenditionKind.SR in wanted:
            others = tuple(self._made)
            report = build_report(findings, edition, segmentation, others)
            path, found = self._write(RenditionKind.SR, report, "sr")
            check_report(path, found, findings, edition)
            check_catalogue(path, found, others)
        return tuple(self._made)

    def _written(self, segmentation: Dataset) -> Dataset | None:
        """The segmentation, or None where it is larger than the destination takes; then every reader is told so."""
        profile = self._edition.profile
        if profile.is_seg_deflated:
            segmentation.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        path, found = self._write(RenditionKind.SEG, segmentation, "seg")
        check_segmentation(path, found, self._findings, self._edition)
        del segmentation.PixelData  # the rest of the run needs its name alone
        size, most = path.stat().st_size, profile.largest_seg_bytes
        if most is None or size <= most:
            return segmentation
        path.unlink()
        self._made.pop()
        self._known.discard(found.SOPInstanceUID)
        self._findings = replace(self._findings, summary=(*self._findings.summary, too_large(size, most)))
        self._edition = replace(self._edition, profile=replace(profile, outlines=True))
        return None

    def _write_summary(self) -> None:
        (self._folder / "summary").mkdir()
        for number, (page, picture) in enumerate(build_summary(self._findings, self._edition, self._volume), 1):
            path, found = self._write(RenditionKind.SUMMARY, page, f"summary/{number:04}")
            check_page(path, found, np.asarray(picture))

    def _write_further(self, kinds: Sequence[Further]) -> None:
        for each in kinds:
            if each.kind not in self._edition.profile.renditions:
                continue
            for name, result in each.build(self._findings, self._edition, self._volume):
                path, found = self._write(each.kind, result, name)
                each.check(path, found, self._findings, self._edition, self._volume)

    def _write(self, kind: RenditionKind, result: Dataset, name: str) -> tuple[Path, Dataset]:
        path = self._folder / f"{name}.dcm"
        result.save_as(path, enforce_file_format=True, overwrite=False)
        found = read_back(path, result)
        self._known.add(found.SOPInstanceUID)
        check_common(path, found, self._edition, self._known)
        self._made.append(ResultObject.of(kind, path, found))
        return path, found
