"""No unsound object leaves: what was written is compared with findings and source, from its bytes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from ai.errors import CardInvalid
from ai.findings import Findings, Measurement, Segment
from node.errors import IsocenterError, ResultUnsound
from node.results.checks import check_common, read_back
from node.results.encode import encode
from node.results.origin import read_origin
from node.results.report_check import check_report
from node.results.segmentation_check import check_segmentation
from node.results.stamp import Edition
from tests.unit.results.made import CARD, RUN, Made, encoded, make_findings, make_series


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_series(tmp_path_factory.mktemp("source"), rows=13, columns=7)


@pytest.fixture(scope="module")
def written(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    encoded(folder, made, make_findings(made))
    return folder


@pytest.fixture(scope="module")
def edition(made: Made) -> Edition:
    return Edition(read_origin(made.grid, made.paths), CARD, RUN, "", as_unicode=False)


def one_bit(seg: Dataset) -> None:
    pixels = bytearray(seg.PixelData)
    pixels[100] ^= 1
    seg.PixelData = bytes(pixels)


def place(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence[0].ImagePositionPatient[2] += 5


def neighbour(seg: Dataset) -> None:
    """The reference to the next slice, as a wrong order of files would give it."""
    items = seg.PerFrameFunctionalGroupsSequence
    items[0].DerivationImageSequence = items[1].DerivationImageSequence


def a_frame_less(seg: Dataset) -> None:
    del seg.PerFrameFunctionalGroupsSequence[-1]


def orientation(seg: Dataset) -> None:
    seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def spacing(seg: Dataset) -> None:
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1.5, 2.0]


def frame_of_reference(seg: Dataset) -> None:
    seg.FrameOfReferenceUID = "2.25.77"


def sides(seg: Dataset) -> None:
    """Right and left exchanged in name only."""
    one, other = seg.SegmentSequence[:2]
    one.SegmentLabel, other.SegmentLabel = other.SegmentLabel, one.SegmentLabel


def code(seg: Dataset) -> None:
    seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "10200004"


def tracking(seg: Dataset) -> None:
    seg.SegmentSequence[0].TrackingUID = "2.25.78"


@pytest.mark.parametrize(
    "spoil",
    [one_bit, place, neighbour, a_frame_less, orientation, spacing, frame_of_reference, sides, code, tracking],
)
def test_a_spoiled_segmentation_is_found(
    spoil: Callable[[Dataset], None], written: Path, made: Made, edition: Edition
) -> None:
    """Voxels, geometry, references, names and codes."""
    seg = pydicom.dcmread(written / "seg.dcm")
    check_segmentation(written / "seg.dcm", seg, make_findings(made), edition)

    spoil(seg)

    with pytest.raises(ResultUnsound, match=r"seg\.dcm: "):
        check_segmentation(written / "seg.dcm", seg, make_findings(made), edition)


@pytest.mark.parametrize(
    "findings",
    [
        lambda one: replace(one, measurements=one.measurements[1:]),
        lambda one: replace(one, measurements=(*one.measurements, Measurement("volume", 5))),
        lambda one: replace(one, measurements=(Measurement("volume", 1e6, ("right-lung",)), *one.measurements[1:])),
    ],
)
def test_a_report_with_other_numbers_than_the_findings_is_found(
    findings: Callable[[Findings], Findings], written: Path, made: Made, edition: Edition
) -> None:
    """One too many, one too few, one altered."""
    report = pydicom.dcmread(written / "sr.dcm")
    check_report(written / "sr.dcm", report, make_findings(made), edition)

    with pytest.raises(ResultUnsound, match=r"sr\.dcm: "):
        check_report(written / "sr.dcm", report, findings(make_findings(made)), edition)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "P-0816"),
        ("PatientName", "Muller^Jorg"),
        ("SeriesDescription", "x" * 65),
        ("StudyInstanceUID", "2.x"),
    ],
)
def test_another_patient_or_an_impossible_value_is_found(
    keyword: str, value: str, written: Path, edition: Edition, made: Made, tmp_path: Path
) -> None:
    """Values are compared with the source byte for byte, and measured against what their representation allows."""
    path = tmp_path / "text.dcm"
    text = pydicom.dcmread(written / "text.dcm")
    with pydicom.config.disable_value_validation():
        setattr(text, keyword, value)
        text.save_as(path)

    with pytest.raises(ResultUnsound, match=r"text\.dcm: "):
        check_common(path, pydicom.dcmread(path), edition, [*made.paths, *_own(written)])


def _own(written: Path) -> list[str]:
    return [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in written.rglob("*.dcm")]


def test_a_reference_to_an_object_that_does_not_exist_is_found(written: Path, edition: Edition, made: Made) -> None:
    """The report refers to the segmentation; without it the report is unsound."""
    report = pydicom.dcmread(written / "sr.dcm")
    check_common(written / "sr.dcm", report, edition, [*made.paths, *_own(written)])

    with pytest.raises(ResultUnsound, match="neither source nor result"):
        check_common(written / "sr.dcm", pydicom.dcmread(written / "sr.dcm"), edition, made.paths)


def test_an_object_under_another_uid_is_found(written: Path) -> None:
    """The file that was read back must be the one that was written."""
    with pytest.raises(ResultUnsound, match="SOPClassUID"):
        read_back(written / "seg.dcm", pydicom.dcmread(written / "sr.dcm"))


def test_a_grid_in_the_wrong_order_is_refused(made: Made) -> None:
    """Frames listed against the slice axis would mirror every mask."""
    turned = replace(made.grid, frames=made.grid.frames[::-1])

    with pytest.raises(ResultUnsound, match="mm from slice 0 of the grid"):
        read_origin(turned, made.paths)


def test_a_file_of_another_series_is_refused(made: Made) -> None:
    """The path map may be wrong; the file's own UIDs decide."""
    swapped = dict(zip(made.paths, reversed(made.paths.values()), strict=True))

    with pytest.raises(ResultUnsound, match="instance, series and study are"):
        read_origin(made.grid, swapped)


def test_a_missing_file_is_named(made: Made) -> None:
    """A purged or lost instance is an error that says which."""
    uid = made.grid.frames[4][0]
    left = {one: path for one, path in made.paths.items() if one != uid}

    with pytest.raises(IsocenterError, match=uid):
        read_origin(made.grid, left)


def test_a_source_without_a_place_in_the_patient_is_refused(made: Made) -> None:
    """Radiographs are not encoded as volumes."""
    with pytest.raises(IsocenterError, match="no position in the patient"):
        read_origin(replace(made.grid, affine_lps=None), made.paths)


def test_a_mask_of_another_shape_is_refused(made: Made, tmp_path: Path) -> None:
    """Resampling is the model's task; the encoder never guesses."""
    findings = Findings((Segment("right-lung", np.ones((2, 3, 4), bool), "ct"),))

    with pytest.raises(ResultUnsound, match="right-lung"):
        encode(findings, CARD, made.grid, made.paths, RUN, tmp_path, volume=made.volume)


def test_findings_the_card_does_not_declare_are_refused(made: Made, tmp_path: Path) -> None:
    """There is no code for them."""
    findings = Findings((Segment("spleen", np.ones(made.volume.array.shape, bool), "ct"),))

    with pytest.raises(CardInvalid, match="spleen"):
        encode(findings, CARD, made.grid, made.paths, RUN, tmp_path, volume=made.volume)
