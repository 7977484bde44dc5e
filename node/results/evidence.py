"""What an object was made from, as documents and images state it."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from node.core.identity import ClassUID, InstanceUID
from node.results.origin import Origin

Evidence = dict[str, Sequence[tuple[str, str]]]
"""SOP Instance and SOP Class UIDs by Series Instance UID."""

BLANK = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID")
"""Asked for by the library; patient and study are carried over afterwards, in their own bytes."""


def sources_of(origin: Origin) -> Evidence:
    """Every instance that the model was given, once: those of the grid, then those of further inputs."""
    found: dict[str, dict[InstanceUID, ClassUID]] = {origin.grid.series_uid: origin.instances}
    for series_uid, uid, sop_class in origin.grid.further:
        found.setdefault(series_uid, {})[uid] = sop_class
    return {series_uid: list(instances.items()) for series_uid, instances in found.items()}


def evidence_of(origin: Origin) -> list[Dataset]:
    """One header for each source instance; of patient and study the library asks the first alone."""
    named = [(series_uid, one) for series_uid, instances in sources_of(origin).items() for one in instances]
    (_, first), *others = named
    return [identified(origin, *first), *(_named(origin, series_uid, *one) for series_uid, one in others)]


def identified(origin: Origin, instance: str, sop_class: str) -> Dataset:
    """A header that tells which instance of the source it stands for."""
    header = _named(origin, origin.grid.series_uid, instance, sop_class)
    for keyword in BLANK:
        setattr(header, keyword, "")
    header.StudyDate = header.StudyTime = None
    return header


def _named(origin: Origin, series_uid: str, instance: str, sop_class: str) -> Dataset:
    header = Dataset()
    header.StudyInstanceUID = origin.grid.study_uid
    header.SeriesInstanceUID = series_uid
    header.SOPClassUID = sop_class
    header.SOPInstanceUID = instance
    return header


def study_item(study_uid: str, by_series: Evidence) -> Dataset:
    """Study, series and instances (PS3.3 table C.17-3)."""
    study = Dataset()
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = [_series(uid, instances) for uid, instances in by_series.items()]
    return study


def _series(series_uid: str, instances: Sequence[tuple[str, str]]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = series_uid
    series.ReferencedSOPSequence = []
    for uid, sop_class in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = uid
        series.ReferencedSOPSequence.append(item)
    return series
