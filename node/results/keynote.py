"""The Key Object Selection note (PS3.3 A.35.4): the source's slices on which a reader finds what was found."""

from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ai.findings import Findings
from ai.volume import Volume
from node.core.identity import InstanceUID
from node.results.checks import expect
from node.results.evidence import identified
from node.results.keyslices import key_slices
from node.results.stamp import Edition, stamp
from node.results.uids import RenditionKind
from node.results.wording import DISCLAIMER


def build_key_note(findings: Findings, edition: Edition, _volume: Volume) -> Iterator[tuple[str, Dataset]]:
    """The note, named."""
    kind, keys = RenditionKind.KO, _keys(findings, edition)
    origin = edition.origin
    referenced = [identified(origin, uid, of_class) for uid, of_class in origin.instances.items() if uid in keys]
    for image in referenced:
        image.Rows, image.Columns = edition.origin.grid.rows, edition.origin.grid.columns  # they tell an image
    content = hd.ko.KeyObjectSelection(
        document_title=codes.DCM.OfInterest,
        referenced_objects=referenced,
        observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, edition.algorithm.observer()),
        description=f"Key images of {edition.card.title} ({edition.card.name} {edition.card.version}). {DISCLAIMER}",
    )
    for item in content[0].ContentSequence:
        if item.ValueType == "IMAGE":
            reference = item.ReferencedSOPSequence[0]
            numbers = keys[reference.ReferencedSOPInstanceUID]
            if numbers:
                reference.ReferencedFrameNumber = numbers
    note: Dataset = hd.ko.KeyObjectSelectionDocument(
        evidence=referenced,
        content=content,
        series_instance_uid=edition.run.series_uid(kind),
        series_number=edition.series_number(kind),
        sop_instance_uid=edition.run.instance_uid(kind),
        instance_number=1,
        series_description=edition.series_description(kind),
    )
    stamp(note, edition, kind, body_part=False)
    yield "ko", note


def _keys(findings: Findings, edition: Edition) -> dict[InstanceUID, list[int]]:
    """The key images, and of multi-frame ones the key frames, in the grid's order."""
    keys: dict[InstanceUID, list[int]] = {}
    for index in key_slices(findings, len(edition.origin.frames)):
        frame = edition.origin.frames[index]
        keys.setdefault(frame.sop_instance_uid, []).extend([frame.frame_number] if frame.frame_number else [])
    return keys


def check_key_note(path: Path, found: Dataset, findings: Findings, edition: Edition, _volume: Volume) -> None:
    """It names the key images and frames, all and only those, and lists each as evidence."""
    named: dict[str, list[int]] = {}
    for item in found.ContentSequence:
        if item.ValueType == "IMAGE":
            reference = item.ReferencedSOPSequence[0]
            numbers = np.ravel(reference.get("ReferencedFrameNumber") or [])
            named[reference.ReferencedSOPInstanceUID] = [int(one) for one in numbers]
    expect(path, "key images", named, dict(_keys(findings, edition)))
    series = found.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    evidence = {one.ReferencedSOPInstanceUID for item in series for one in item.ReferencedSOPSequence}
    expect(path, "evidence", evidence, set(named))
