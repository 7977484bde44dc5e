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
from node.results.further import COMPANIONS, EVIDENCE, Further
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
    """Write seg.dcm (where anything was found), sr.dcm, text.dcm, summary/0001.dcm ... into `folder`, which exists.

    Besides them the further kinds that the profile asks for, as far as the run has them.

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
    return tuple(_Writer(findings, edition, volume, folder).objects())


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
        self._known = {*edition.origin.instances, *(one.sop_instance_uid for one in edition.predecessors)}
        self._known.add(InstanceUID(edition.origin.grid.study_uid))  # structure sets refer to it as if to an object

    def objects(self) -> Iterator[ResultObject]:
        findings, edition = self._findings, self._edition
        evidence: list[Dataset] = []
        segmentation = None if edition.origin.is_flat else build_segmentation(findings, edition)
        if segmentation is not None:
            path, found = self._write(segmentation, "seg")
            check_segmentation(path, found, findings, edition)
            del segmentation.PixelData  # the rest of the run needs its name alone
            yield ResultObject.of(RenditionKind.SEG, path, found)
        for one in self._further(EVIDENCE):
            evidence.append(_named(one))
            yield one
        report = build_report(findings, edition, segmentation, evidence)
        path, found = self._write(report, "sr")
        check_report(path, found, findings, edition)
        yield ResultObject.of(RenditionKind.SR, path, found)
        listed = [*([segmentation] if segmentation else []), *evidence, report]
        path, found = self._write(build_text(findings, edition, listed), "text")
        yield ResultObject.of(RenditionKind.TEXT, path, found)
        yield from self._summary()
        yield from self._further(COMPANIONS)

    def _summary(self) -> Iterator[ResultObject]:
        (self._folder / "summary").mkdir()
        for number, (page, picture) in enumerate(build_summary(self._findings, self._edition, self._volume), 1):
            path, found = self._write(page, f"summary/{number:04}")
            check_page(path, found, np.asarray(picture))
            yield ResultObject.of(RenditionKind.SUMMARY, path, found)

    def _further(self, kinds: Sequence[Further]) -> Iterator[ResultObject]:
        for each in kinds:
            if each.kind not in self._edition.profile.renditions:
                continue
            for name, result in each.build(self._findings, self._edition, self._volume):
                path, found = self._write(result, name)
                each.check(path, found, self._findings, self._edition, self._volume)
                yield ResultObject.of(each.kind, path, found)

    def _write(self, result: Dataset, name: str) -> tuple[Path, Dataset]:
        path = self._folder / f"{name}.dcm"
        result.save_as(path, enforce_file_format=True, overwrite=False)
        found = read_back(path, result)
        self._known.add(found.SOPInstanceUID)
        check_common(path, found, self._edition, self._known)
        return path, found


def _named(one: ResultObject) -> Dataset:
    """As much of an object as a document needs to name it."""
    named = Dataset()
    named.SOPClassUID, named.SOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
    named.StudyInstanceUID, named.SeriesInstanceUID = one.study_instance_uid, one.series_instance_uid
    return named
