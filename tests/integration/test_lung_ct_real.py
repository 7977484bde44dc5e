"""lung-ct on real chests: agreement with reference segmentations, and sense on a full-size study."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - its own name for itself
from PIL import Image, ImageDraw

from ai.device import Device
from ai.findings import Findings, Mask
from ai.models.lung_ct import MODEL
from ai.volume import Facts, Inputs, Volume

pytestmark = pytest.mark.real("data")

LEFT_THIRDS, RIGHT_THIRDS, AIRWAY = (9, 11), (12, 14), 2
"""Low bytes of the regions' labels, and the high byte that marks trachea and main bronchi."""


def read_volume(folder: Path) -> Volume:
    """The one axial series of a folder, its slices in the order of their positions."""
    slices = [pydicom.dcmread(file) for file in folder.glob("*.dcm")]
    row, column = np.array(slices[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    slices.sort(key=lambda one: float(normal @ np.array(one.ImagePositionPatient, dtype=float)))
    first, last = (np.array(slices[end].ImagePositionPatient, dtype=float) for end in (0, -1))
    between_rows, between_columns = (float(one) for one in slices[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = (last - first) / (len(slices) - 1)
    affine[:3, 1], affine[:3, 2], affine[:3, 3] = column * between_rows, row * between_columns, first
    hu = [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in slices]
    spacing = float(np.linalg.norm(affine[:3, 0])), between_rows, between_columns
    return Volume(np.stack(hu).astype(np.int16), affine, spacing, Facts(modality="CT"))


def run(volume: Volume) -> Findings:
    with MODEL.open(Device()) as predict:
        return predict(Inputs({"ct": volume}, "ct"))


def masks(findings: Findings) -> tuple[Mask, Mask]:
    right, left = findings.segment("right-lung"), findings.segment("left-lung")
    assert right is not None
    assert left is not None
    return right.mask, left.mask


def dice(one: Mask, other: Mask) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


def within(low: npt.NDArray[np.uint16], thirds: tuple[int, int]) -> Mask:
    return (low >= thirds[0]) & (low <= thirds[1])


@pytest.fixture(scope="module")
def small(data: Path) -> Volume:
    return read_volume(data / "ct-chest-small" / "dicom")


@pytest.fixture(scope="module")
def full(data: Path) -> Volume:
    return read_volume(data / "ct-chest-lidc-0001")


@pytest.fixture(scope="module")
def full_findings(full: Volume) -> Findings:
    start = perf_counter()
    findings = run(full)
    print(f"\n133 x 512 x 512: {perf_counter() - start:.1f} s; {' '.join(findings.summary)}")  # noqa: T201
    return findings


def test_lungs_agree_with_the_reference(data: Path, small: Volume) -> None:
    """Both lungs, each lung, and the airway that must stay out, against another group's segmentation."""
    reference = sitk.GetArrayFromImage(sitk.ReadImage(data / "ct-chest-small" / "reference-lungs.nrrd")) > 0
    regions = sitk.GetArrayFromImage(sitk.ReadImage(data / "ct-chest-small" / "reference-regions.nrrd"))
    low, airway = regions & 0xFF, (regions >> 8) == AIRWAY
    right, left = masks(run(small))
    both = dice(right | left, reference)
    each = dice(right, within(low, RIGHT_THIRDS)), dice(left, within(low, LEFT_THIRDS))
    taken = np.count_nonzero((right | left) & airway) / np.count_nonzero(airway)
    print(f"\nDice: both {both:.3f}, right {each[0]:.3f}, left {each[1]:.3f}; airway inside {taken:.3f}")  # noqa: T201

    assert both >= 0.98
    assert min(each) >= 0.96
    assert taken <= 0.10


@pytest.mark.parametrize(("order", "reverse"), [((2, 0, 1), (0,)), ((1, 0, 2), (1, 2)), ((0, 1, 2), (0, 1, 2))])
def test_the_same_chest_stored_otherwise_gives_the_same_lungs(
    small: Volume, order: tuple[int, ...], reverse: tuple[int, ...]
) -> None:
    """As a sagittal, a coronal and an axial stack that runs the other way on every axis."""
    array = np.ascontiguousarray(np.flip(small.array.transpose(order), reverse))
    assert small.affine_lps is not None
    affine = small.affine_lps.copy()
    affine[:3, :3] = affine[:3, order]
    for axis in reverse:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
    there = masks(run(Volume(array, affine, None, small.facts)))

    for mask, expected in zip(there, masks(run(small)), strict=True):
        assert np.array_equal(mask, np.flip(expected.transpose(order), reverse))


@pytest.mark.slow
def test_a_full_study_gives_plausible_lungs(full: Volume, full_findings: Findings) -> None:
    """Padding, table, contrast in a vein and gas in the colon: two lungs of a woman's size, on their sides."""
    right, left = masks(full_findings)
    assert full.affine_lps is not None
    across = {name: (np.argwhere(mask) @ full.affine_lps[0, :3]).mean() for name, mask in (("r", right), ("l", left))}
    volume_ml = {one.segments: one.value for one in full_findings.measurements if one.key == "volume"}

    assert across["l"] - across["r"] > 100
    assert not (right & left).any()
    assert not (full.array[right | left] < -1100).any()
    assert not (right | left)[:10].any()
    assert volume_ml["right-lung",] == pytest.approx(1980, rel=0.02)
    assert volume_ml["left-lung",] == pytest.approx(1760, rel=0.02)


@pytest.mark.slow
def test_a_nodule_that_touches_the_pleura_is_in_the_lung(data: Path, full: Volume, full_findings: Findings) -> None:
    """The nodule of 30 mm in the left lower lobe, as any of four readers outlined it, is left lung."""
    _, left = masks(full_findings)
    read = nodule(data / "ct-chest-lidc-0001" / "069.xml", full)

    assert np.count_nonzero(read) * full.voxel_ml > 5
    assert np.count_nonzero(read & left) > 0.98 * np.count_nonzero(read)


def nodule(marks: Path, volume: Volume) -> Mask:
    """All that any reader outlined on three slices or more, from the LIDC's XML."""
    assert volume.affine_lps is not None
    found = np.zeros(volume.array.shape, dtype=np.bool_)
    space = {"lidc": "http://www.nih.gov"}
    for one in ET.parse(marks).getroot().iterfind(".//lidc:unblindedReadNodule", space):  # noqa: S314 - our own file
        rois = one.findall("lidc:roi", space)
        for roi in rois if len(rois) >= 3 else []:
            height = float(roi.findtext("lidc:imageZposition", "", space))
            index = round((height - volume.affine_lps[2, 3]) / volume.affine_lps[2, 0])
            edge = [
                (int(at.findtext("lidc:xCoord", "", space)), int(at.findtext("lidc:yCoord", "", space)))
                for at in roi.iterfind("lidc:edgeMap", space)
            ]
            drawn = Image.new("1", volume.array.shape[:0:-1])
            ImageDraw.Draw(drawn).polygon(edge, fill=1)
            found[index] |= np.array(drawn)
    return found


@pytest.mark.slow
def test_a_full_study_stays_within_the_memory_the_card_declares(full: Volume, tmp_path: Path) -> None:
    """Peak memory of a process of its own that does nothing else."""
    np.savez(tmp_path / "volume.npz", array=full.array, affine=full.affine_lps)
    program = (
        "import resource, sys, numpy as np\n"
        "from ai.device import Device\n"
        "from ai.models.lung_ct import MODEL\n"
        "from ai.volume import Inputs, Volume\n"
        "saved = np.load(sys.argv[1])\n"
        "with MODEL.open(Device()) as predict:\n"
        "    predict(Inputs({'ct': Volume(saved['array'], saved['affine'], None)}, 'ct'))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "volume.npz"], capture_output=True, text=True, check=True
    )
    peak_mb = int(done.stdout) / 1024
    print(f"\npeak memory {peak_mb:.0f} MB")  # noqa: T201

    assert peak_mb < MODEL.card.memory_mb
