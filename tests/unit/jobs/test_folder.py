"""A folder is one study of one patient, in which every instance is there once."""

import shutil
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.errors import ReasonCode, Refused
from node.jobs.folder import read_folder
from tests.makers.series import ct_series


def test_a_study_of_two_patients_is_refused(tmp_path: Path) -> None:
    """One patient's lesion must not be reported of the other."""

    def change(image: Dataset, number: int) -> None:
        image.PatientID = "P-1" if number < 3 else "P-2"

    ct_series(tmp_path, slices=6, change=change)
    with pytest.raises(Refused, match="different patients") as refused:
        read_folder(tmp_path)
    assert refused.value.reason is ReasonCode.TWO_PATIENTS


def test_an_instance_that_lies_there_twice_is_read_once(tmp_path: Path) -> None:
    files = ct_series(tmp_path, slices=6)
    shutil.copy(files[2], tmp_path / "again.dcm")
    assert len(read_folder(tmp_path).facts) == 6


def test_an_instance_that_lies_there_twice_with_other_pixels_is_refused(tmp_path: Path) -> None:
    """The last one by name was analysed, and nothing was said."""
    files = ct_series(tmp_path, slices=6)
    image = dcmread(files[2])
    image.PixelData = bytes(len(image.PixelData))
    image.save_as(tmp_path / "other.dcm")
    with pytest.raises(Refused, match="hold other pixels") as refused:
        read_folder(tmp_path)
    assert refused.value.reason is ReasonCode.DUPLICATE_SLICES
