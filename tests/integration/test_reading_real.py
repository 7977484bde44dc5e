"""Real series against independent readers, and real refusals."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - its own name for itself
from pydicom import uid
from pydicom.encaps import encapsulate, generate_frames

from ai.contract import InputCard
from node.core.stacks import split_into_stacks
from node.core.study import InstanceFacts, Stack
from node.errors import ReasonCode, Refused
from node.jobs.gate import check
from node.jobs.reading import read_volume
from node.state.header import read_facts

pytestmark = pytest.mark.real("data")

CHEST = InputCard("ct", ("CT",), ("axial",), 20, 5.0, 150.0, 200.0, 600.0)


def series(folder: Path) -> tuple[tuple[Stack, ...], dict[str, Path], InstanceFacts]:
    facts = {path: read_facts(path) for path in sorted(folder.rglob("*.dcm"))}
    paths = {one.sop_instance_uid: path for path, one in facts.items()}
    return split_into_stacks(list(facts.values())), paths, next(iter(facts.values()))


@pytest.mark.parametrize(
    ("folder", "slices", "noted"), [("ct-chest-lidc-0001", 133, True), ("ct-chest-small/dicom", 79, False)]
)
def test_a_chest_ct_is_the_volume_that_simpleitk_reads(data, folder, slices, noted):
    """Same values, origin, spacing and directions in LPS."""
    (stack,), paths, first = series(data / folder)
    check(stack, CHEST)
    volume, grid = read_volume(stack, paths, first.study_uid)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(paths[frame.sop_instance_uid]) for frame in stack.frames])
    image = reader.Execute()
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(image))
    assert (volume.array.shape[0], volume.array.dtype) == (slices, np.int16)
    assert np.allclose(volume.affine_lps[:3, 3], image.GetOrigin())
    assert np.allclose(volume.spacing_mm, image.GetSpacing()[::-1])
    directions = np.array(image.GetDirection()).reshape(3, 3)  # columns: x, y, z of the image
    assert np.allclose(volume.affine_lps[:3, :3] / volume.spacing_mm, directions[:, ::-1])
    assert (grid.frame_of_reference_note is not None) is noted


def test_lidc_takes_the_frame_of_reference_of_its_lowest_slice(data):
    (stack,), paths, first = series(data / "ct-chest-lidc-0001")
    _, grid = read_volume(stack, paths, first.study_uid)
    slices = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths.values()]
    lowest = min(slices, key=lambda ds: ds.ImagePositionPatient[2])
    assert grid.frame_of_reference_uid == lowest.FrameOfReferenceUID
    assert grid.frames[0] == (lowest.SOPInstanceUID, 1)


def test_an_enhanced_mr_is_the_volume_that_highdicom_reads(data):
    """One object of 96 sagittal frames; highdicom may run through it the other way."""
    for path in sorted((data / "mr-brain-enhanced").glob("*.dcm")):
        facts = read_facts(path)
        (stack,) = split_into_stacks([facts])
        volume, grid = read_volume(stack, {facts.sop_instance_uid: path}, facts.study_uid)
        independent = highdicom.imread(path).get_volume()
        array, affine = independent.array, independent.affine
        if np.dot(affine[:3, 0], volume.affine_lps[:3, 0]) < 0:
            independent = independent.flip_spatial(0)
            array, affine = independent.array, independent.affine
        assert np.array_equal(volume.array, array)
        assert np.allclose(volume.affine_lps, affine, atol=1e-3)
        assert [number for _, number in grid.frames] == list(range(96, 0, -1))


def test_every_transfer_syntax_decodes_to_the_same_pixels(data):
    decoded, syntaxes = [], set()
    for path in sorted((data / "transfer-syntaxes-mr").rglob("*.dcm")):
        facts = read_facts(path)
        (stack,) = split_into_stacks([facts])
        decoded.append(read_volume(stack, {facts.sop_instance_uid: path}, facts.study_uid)[0].array)
        syntaxes.add(facts.transfer_syntax_uid)
    assert (len(decoded), len(syntaxes)) == (9, 7)
    assert all(np.array_equal(array, decoded[0]) for array in decoded)


def test_truncated_jpeg_2000_is_refused(data):
    for path in sorted((data / "truncated-j2k").glob("*.dcm")):
        facts = read_facts(path)
        (stack,) = split_into_stacks([facts])
        with pytest.raises(Refused) as caught:
            read_volume(stack, {facts.sop_instance_uid: path}, facts.study_uid)
        assert caught.value.reason is ReasonCode.UNDECODABLE


@pytest.mark.parametrize("kept", [0.2, 0.9, 0.999])
def test_no_truncated_codestream_is_filled_with_invented_pixels(data, tmp_path, kept):
    """JPEG lossless, JPEG-LS and JPEG 2000 of a real image, cut short."""
    for path in sorted((data / "transfer-syntaxes-mr").rglob("*.dcm")):
        ds = pydicom.dcmread(path)
        if ds.file_meta.TransferSyntaxUID not in (uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless):
            continue
        (whole,) = generate_frames(ds.PixelData, number_of_frames=1)
        ds.PixelData = encapsulate([whole[: int(len(whole) * kept)]])
        ds.save_as(tmp_path / "cut.dcm")
        facts = read_facts(tmp_path / "cut.dcm")
        (stack,) = split_into_stacks([facts])
        with pytest.raises(Refused) as caught:
            read_volume(stack, {facts.sop_instance_uid: tmp_path / "cut.dcm"}, facts.study_uid)
        assert caught.value.reason is ReasonCode.UNDECODABLE


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("ct-head-tilted", ReasonCode.GANTRY_TILT),
        ("ct-not-a-volume/gantrytilting-001", ReasonCode.GANTRY_TILT),
        ("ct-not-a-volume/sliceincrement-001", ReasonCode.MISSING_SLICES),
        ("ct-not-a-volume/sliceincrement-002", ReasonCode.MISSING_SLICES),
        ("ct-not-a-volume/sliceorientation-001", ReasonCode.MIXED_ORIENTATION),
        ("ct-not-a-volume/slicecount-001", ReasonCode.TOO_FEW_SLICES),
        ("ct-not-a-volume/notavolume-001", ReasonCode.NOT_A_VOLUME),
        ("mr-brain-enhanced", None),
    ],
)
@pytest.mark.parametrize("min_slices", [3, 20])
def test_real_series_get_their_reason(data, folder, reason, min_slices):
    """Whatever the card asks for, the fault of the series itself is told first."""
    stacks, _, first = series(data / folder)
    card = InputCard("any", (first.modality or "",), ("axial", "sagittal"), min_slices, 6.0, 50.0, None, None)
    for series_uid in {stack.series_uid for stack in stacks}:
        siblings = [stack for stack in stacks if stack.series_uid == series_uid]
        assert reason_of(max(siblings, key=lambda one: one.slice_count), card, siblings) is reason


def reason_of(stack: Stack, card: InputCard, siblings: list[Stack]) -> ReasonCode | None:
    try:
        check(stack, card, siblings)
    except Refused as refusal:
        return refusal.reason
    return None


def test_a_radiograph_declared_monochrome1_is_read_as_the_negative(data):
    """The two files hold the same compressed pixels and differ in their Photometric Interpretation."""
    values = []
    for name in ("1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm", "Fake_MONOHR1.dcm"):
        path = data / "cxr" / name
        facts = read_facts(path)
        (stack,) = split_into_stacks([facts])
        volume, grid = read_volume(stack, {facts.sop_instance_uid: path}, facts.study_uid)
        assert (volume.array.shape, volume.affine_lps, grid.affine_lps) == ((1, 1024, 1024), None, None)
        values.append(volume.array)
    assert np.array_equal(values[0], 255 - values[1])
