"""The tiny series that other tests are made of are what they say they are."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tests.makers.multiframe import enhanced_ct, enhanced_mr
from tests.makers.series import cr_images, ct_series, ct_two_orientations, mr_b_values


@pytest.mark.real("dicom3tools")
@pytest.mark.parametrize(
    "make",
    [
        ct_series,
        ct_two_orientations,
        mr_b_values,
        lambda folder: ct_series(folder, tilt_deg=18, left_out=[2], doubled=[4], frame_of_reference_per_slice=True),
        lambda folder: cr_images(folder, calibrated_spacing_mm=0.15),
        lambda folder: [enhanced_ct(folder, stacks=2)],
        lambda folder: [enhanced_mr(folder, b_values=(0, 1000))],
    ],
)
def test_validator_finds_no_error(make: Callable[[Path], list[Path]], tmp_path: Path) -> None:
    for path in make(tmp_path):
        told = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True).stderr
        assert [line for line in told.splitlines() if line.startswith("Error")] == []


def test_gap_and_double_stand_where_they_were_asked_for(tmp_path: Path) -> None:
    images = [dcmread(path) for path in ct_series(tmp_path, slices=5, slice_spacing_mm=3.0, left_out=[2], doubled=[4])]
    heights = [float(image.ImagePositionPatient[2]) for image in images]
    assert np.diff(heights).tolist() == [3.0, 6.0, 3.0, 0.0]
    assert len({image.SOPInstanceUID for image in images}) == 5


def test_tilt_shears_the_stack_by_its_angle(tmp_path: Path) -> None:
    first, second = (dcmread(path) for path in ct_series(tmp_path, slices=2, slice_spacing_mm=3.0, tilt_deg=45))
    step = np.subtract(second.ImagePositionPatient, first.ImagePositionPatient, dtype=float)
    assert step == pytest.approx([0, 3, 3])
