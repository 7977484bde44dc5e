"""One DICOM file of a run, as it is known once it was written and read back."""

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from node.core.identity import ClassUID, InstanceUID, SeriesUID, StudyUID
from node.results.uids import RenditionKind


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

    def named(self) -> Dataset:
        """As much of it as a document needs to name it."""
        named = Dataset()
        named.SOPClassUID, named.SOPInstanceUID = self.sop_class_uid, self.sop_instance_uid
        named.StudyInstanceUID, named.SeriesInstanceUID = self.study_instance_uid, self.series_instance_uid
        return named
