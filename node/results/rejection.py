"""The rejection note (IHE IOCM, PS3.3 A.35.4): which results of earlier runs newer ones have replaced."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes

from ai.contract import ModelCard
from node.core.identity import ClassUID, InstanceUID, SeriesUID, StudyUID
from node.core.study import SourceGrid
from node.errors import IsocenterError
from node.results.carried import carried_elements
from node.results.checks import check_common, expect, read_back
from node.results.evidence import identified
from node.results.origin import Origin
from node.results.profile import Profile
from node.results.readable import read_header
from node.results.result import ResultObject
from node.results.stamp import Edition, stamp
from node.results.uids import RenditionKind, RunIdentity

TITLE = codes.DCM.RejectedForQualityReasons
"""IOCM's other titles would be untrue: a result that was replaced is no danger to the patient (113037), was made under
the right worklist entry (113038), and has not been kept long enough (113039)."""


@dataclass(frozen=True)
class Replaced:
    """An object that a destination holds of an earlier run. kind: its rendition."""

    kind: RenditionKind
    series_uid: SeriesUID
    sop_class_uid: ClassUID
    sop_uid: InstanceUID


def encode_rejection(
    replaced: Sequence[Replaced], header: Path, card: ModelCard, run: RunIdentity, folder: Path, destination: str
) -> ResultObject:
    """Write rejection.dcm into `folder`, which exists.

    header: a file of the study, from which patient and study are taken. run: the newer one. destination: what each was
    given may differ, and so do their notes. Raises IsocenterError where that file cannot be read, ResultUnsound where
    the note differs from what was meant.
    """
    words = f"Replaced by newer results of {card.name}, run {run.run}."
    edition = Edition(
        origin=_origin(header),
        card=card,
        run=run,
        route="",
        as_unicode=not all(text.isascii() for text in (words, card.version, card.vendor)),
        profile=Profile(),
    )
    note = _build(replaced, words, edition, destination)
    path = folder / "rejection.dcm"
    note.save_as(path, enforce_file_format=True, overwrite=False)
    found = read_back(path, note)
    named = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in found.ContentSequence if _refers(item)]
    check_common(path, found, edition, [one.sop_uid for one in replaced])
    expect(path, "replaced objects", sorted(named), sorted(one.sop_uid for one in replaced))
    return ResultObject.of(RenditionKind.REJECTION, path, found)


def _origin(header: Path) -> Origin:
    try:
        found = read_header(header)
    except (OSError, InvalidDicomError) as error:
        raise IsocenterError(f"{header} cannot be read, so no rejection note can be made: {error}") from error
    grid = SourceGrid(StudyUID(found.StudyInstanceUID), SeriesUID(found.SeriesInstanceUID), (), 0, 0, None, None)
    return Origin(grid, found, carried_elements(found), (), {})


def _build(replaced: Sequence[Replaced], words: str, edition: Edition, destination: str) -> Dataset:
    kind, referenced = RenditionKind.REJECTION, [_named(one, edition.origin) for one in replaced]
    note: Dataset = hd.ko.KeyObjectSelectionDocument(
        evidence=referenced,
        content=hd.ko.KeyObjectSelection(
            document_title=TITLE,
            referenced_objects=referenced,
            observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, edition.algorithm.observer()),
            description=words,
        ),
        series_instance_uid=edition.run.series_uid(kind, destination),
        series_number=edition.series_number(kind),
        sop_instance_uid=edition.run.instance_uid(kind, key=destination),
        instance_number=1,
        series_description=edition.series_description(kind),
    )
    stamp(note, edition, kind, body_part=False)
    return note


def _named(one: Replaced, origin: Origin) -> Dataset:
    named = identified(origin, one.sop_uid, one.sop_class_uid)
    named.SeriesInstanceUID = one.series_uid
    if one.kind.is_image:
        named.Rows = named.Columns = 1  # they tell an image
    return named


def _refers(item: Dataset) -> bool:
    return item.ValueType in ("IMAGE", "COMPOSITE")
