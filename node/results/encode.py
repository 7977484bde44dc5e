"""Findings in, DICOM files out: makes the result objects of a run, checks them, and names them in sending order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from ai.contract import ModelCard
from ai.findings import Findings
from ai.volume import Volume
from node.core.identity import ClassUID, InstanceUID, SeriesUID, StudyUID
from node.core.study import SourceGrid
from node.errors import ResultUnsound
from node.results.checks import check_common, check_page, read_back
from node.results.origin import read_origin
from node.results.overlay import draw_overlay
from node.results.profile import Predecessor, Profile
from node.results.report import build_report
from node.results.report_check import check_report
from node.results.segmentation import build_segmentation
from node.results.segmentation_check import check_segmentation
from node.results.stamp import Edition
from node.results.summary import build_summary
from node.results.text import build_text
from node.results.uids import RenditionKind, RunIdentity
from node.results.wording import MeasurementRow, is_ascii, measurement_rows

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


@dataclass(frozen=True)
class ResultObject:
    """One DICOM file of a run, checked and ready to send."""

    kind: RenditionKind
    path: Path
    sop_class_uid: ClassUID
    sop_instance_uid: InstanceUID
    series_instance_uid: SeriesUID
    study_instance_uid: StudyUID

    @classmethod
    def of(cls, kind: RenditionKind, path: Path, found: Dataset) -> "ResultObject":
        """The object whose bytes, read back, are `found`."""
        return cls(
            kind=kind,
            path=path,
            sop_class_uid=ClassUID(str(found.SOPClassUID)),
            sop_instance_uid=InstanceUID(str(found.SOPInstanceUID)),
            series_instance_uid=SeriesUID(str(found.SeriesInstanceUID)),
            study_instance_uid=StudyUID(str(found.StudyInstanceUID)),
        )


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
) -> tuple[ResultObject, ...]:
    """Write seg.dcm (where anything was found), sr.dcm, text.dcm and summary/0001.dcm ... into `folder`, which exists.

    volume: the reference input, on `grid`. profile: the forms asked for, else the usual ones. route: named on the
    summary's first page. predecessors: documents of earlier runs that these replace. The same run gives the same bytes.
    Raises ResultUnsound where findings and source do not fit, or an object read back differs from them;
    IsocenterError where the source has no geometry or cannot be read; CardInvalid where the card lacks a finding.
    """
    profile = profile or Profile()
    _check_fit(findings, card, grid, volume)
    edition = Edition(
        origin=read_origin(grid, source_paths),
        card=card,
        run=replace(run, variant=profile.variant),
        route=route,
        as_unicode=not is_ascii(findings, card, grid.frame_of_reference_note),
        profile=profile,
        predecessors=tuple(predecessors),
    )
    return tuple(_write_documents(findings, edition, folder)) + tuple(_write_summary(findings, edition, volume, folder))


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


def _write_documents(findings: Findings, edition: Edition, folder: Path) -> Iterator[ResultObject]:
    known = {*edition.origin.instances, *(edition.run.instance_uid(kind) for kind in RenditionKind)}
    known |= {one.sop_instance_uid for one in edition.predecessors}
    written: list[Dataset] = []
    segmentation = build_segmentation(findings, edition)
    if segmentation is not None:
        path, found = _write(segmentation, folder / "seg.dcm")
        check_common(path, found, edition, known)
        check_segmentation(path, found, findings, edition)
        written.append(segmentation)
        yield ResultObject.of(RenditionKind.SEG, path, found)

    report = build_report(findings, edition, segmentation)
    path, found = _write(report, folder / "sr.dcm")
    check_common(path, found, edition, known)
    check_report(path, found, findings, edition)
    written.append(report)
    yield ResultObject.of(RenditionKind.SR, path, found)

    path, found = _write(build_text(findings, edition, written), folder / "text.dcm")
    check_common(path, found, edition, known)
    yield ResultObject.of(RenditionKind.TEXT, path, found)


def _write_summary(findings: Findings, edition: Edition, volume: Volume, folder: Path) -> Iterator[ResultObject]:
    (folder / "summary").mkdir()
    for number, (page, picture) in enumerate(build_summary(findings, edition, volume), 1):
        path, found = _write(page, folder / "summary" / f"{number:04}.dcm")
        check_common(path, found, edition, edition.origin.instances)
        check_page(path, found, np.asarray(picture))
        yield ResultObject.of(RenditionKind.SUMMARY, path, found)


def _write(result: Dataset, path: Path) -> tuple[Path, Dataset]:
    result.save_as(path, enforce_file_format=True, overwrite=False)
    return path, read_back(path, result)
