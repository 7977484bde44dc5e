"""The phantom: its geometry, its truth, and the study it is written as."""

import math
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its own documentation's name for it
from pydicom import dcmread

from node.rehearsal import truth as truth_module
from node.rehearsal.chest.lungs import lungs
from node.rehearsal.chest.solids import Points, ellipsoid
from node.rehearsal.phantom import DEMO, SMALL, VARIANTS, ScanGrid, scan, truth, write_study
from node.rehearsal.scan import NOISE_HU, coverage, noiseless
from node.rehearsal.truth import LEFT, LOW, RIGHT

LANDMARKS = {
    "trachea": ((-1.0, 15.0, 66.0), -1000),
    "descending aorta": ((25.0, 46.0, 0.0), 41),
    "liver": ((-60.0, -25.0, -140.0), 60),
    "gas in the stomach": ((52.0, -42.0, -146.0), -1000),
    "ventricles": ((24.0, -34.0, -50.0), 45),
    "air in front of the patient": ((-140.0, -95.0, 0.0), -1000),
}
"""Points (LPS mm) of which only one in the patient can have this HU: they tell left from right, up from down."""


def coarse(grid: ScanGrid) -> ScanGrid:
    """The same field of view in voxels twice as long each way."""
    rows_mm, columns_mm = grid.pixel_spacing_mm
    return replace(
        grid, rows=grid.rows // 2, columns=grid.columns // 2, slices=grid.slices // 2,
        pixel_spacing_mm=(2 * rows_mm, 2 * columns_mm), slice_spacing_mm=2 * grid.slice_spacing_mm,
    )  # fmt: skip


@pytest.fixture(scope="module")
def analytic() -> dict[str, tuple[float, np.ndarray]]:
    """Volume in mL and centroid in LPS mm of each lung, from a lattice in the patient that knows no grid."""
    axes = (np.arange(-150, 150, 2.5), np.arange(-120, 125, 2.5), np.arange(-190, 150, 2.5))
    at = Points(*(axis.astype(np.float32) for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))
    found = {}
    for key, field in zip((RIGHT, LEFT), lungs(at), strict=True):
        x, y, z = np.nonzero(field < 0)
        centroid = np.array([axes[0][x].mean(), axes[1][y].mean(), axes[2][z].mean()])
        found[key] = (len(x) * 2.5**3 / 1000, centroid)
    return found


def test_coverage_of_an_ellipsoid_adds_up_to_its_volume() -> None:
    """Partial volume neither adds tissue nor loses any, on slices thicker than the pixels."""
    grid = ScanGrid(
        rows=60, columns=60, slices=30, pixel_spacing_mm=(2, 2), slice_spacing_mm=4, centre_lps_mm=(0, 0, 0)
    )
    radii = (40.0, 30.0, 45.0)
    share = coverage(ellipsoid(grid.points(grid.whole), (1.3, -2.1, 0.7), radii))
    assert share.sum() * grid.voxel_ml == pytest.approx(4 / 3 * math.pi * math.prod(radii) / 1000, rel=0.005)


def test_sampling_only_the_edges_gives_what_sampling_everything_gives() -> None:
    """Voxels settled by their centre would have been counted the same sample by sample."""
    grid = ScanGrid(rows=36, columns=40, slices=40, pixel_spacing_mm=(8, 8), slice_spacing_mm=8)
    everything = np.zeros((4, *grid.shape), np.uint8)
    for voxels, at in truth_module._sampled(grid, grid.whole, np.ones(grid.shape, bool)):
        truth_module._set(everything, voxels, truth_module._inside(*lungs(at), truth_module._low_field(at)))
    assert np.count_nonzero(truth_module.count_samples(grid) != everything) == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_truth_lies_where_the_anatomy_lies_in_every_orientation(
    name: str, analytic: dict[str, tuple[float, np.ndarray]]
) -> None:
    """Mask and affine together give the lung's place and size, half a voxel being the limit; no lung is cut off."""
    grid = coarse(VARIANTS[name])
    found = truth(grid)
    for key in (RIGHT, LEFT):
        volume_ml, centroid = analytic[key]
        region = found.regions[key]
        assert region.volume_ml == pytest.approx(volume_ml, rel=0.005)
        assert region.centroid_lps_mm == pytest.approx(centroid, abs=0.5)
        places = np.argwhere(region.mask)
        by_mask = grid.affine_lps[:3] @ np.append(places.mean(axis=0), 1)
        assert by_mask == pytest.approx(centroid, abs=min(grid.spacing_mm) / 2)
        assert places.min() > 0
        assert (places.max(axis=0) < np.array(grid.shape) - 1).all()


def test_regions_do_not_overlap_where_they_must_not() -> None:
    found = truth(coarse(SMALL)).regions
    assert not (found[RIGHT].mask & found[LEFT].mask).any()
    assert (found[LOW].mask & ~(found[RIGHT].mask | found[LEFT].mask)).sum() == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_another_reader_finds_the_organs_where_they_are(name: str, tmp_path: Path) -> None:
    """ITK, reading the written files in their positions' order, finds each landmark at its LPS point."""
    paths = write_study(tmp_path, VARIANTS[name])
    ordered = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    image = sitk.ReadImage(ordered)
    assert len(ordered) == len(paths)
    for corner in ((0, 0, 0), (VARIANTS[name].slices - 1, 5, 0), (3, VARIANTS[name].rows - 1, 7)):
        place = VARIANTS[name].affine_lps @ (*corner, 1)
        assert image.TransformIndexToPhysicalPoint(corner[::-1]) == pytest.approx(place[:3], abs=0.01)
    for point, hu in LANDMARKS.values():
        index = image.TransformPhysicalPointToIndex(point)
        around = [image[index[0] + i, index[1] + j, index[2]] for i in (-1, 0, 1) for j in (-1, 0, 1)]
        assert np.mean(around) == pytest.approx(hu, abs=25)


def test_reversed_numbers_instances_against_their_positions(tmp_path: Path) -> None:
    paths = write_study(tmp_path, coarse(VARIANTS["reversed"]))
    heights = [dcmread(path, stop_before_pixels=True).ImagePositionPatient[2] for path in paths]
    numbers = [dcmread(path, stop_before_pixels=True).InstanceNumber for path in paths]
    assert numbers == list(range(1, len(paths) + 1))
    assert heights == sorted(heights, reverse=True)


def test_same_seeds_same_study_and_other_seeds_another(tmp_path: Path) -> None:
    grid = coarse(SMALL)
    first, again = write_study(tmp_path / "a", grid), write_study(tmp_path / "b", grid)
    other = write_study(tmp_path / "c", grid, uid_seed="other", noise_seed=2)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert {dcmread(path).StudyInstanceUID for path in first}.isdisjoint(
        dcmread(path).StudyInstanceUID for path in other
    )
    assert dcmread(first[9]).PixelData != dcmread(other[9]).PixelData


def test_noise_has_the_stated_strength() -> None:
    grid = coarse(SMALL)
    difference = scan(grid) - noiseless(grid)
    inside = noiseless(grid) > -950
    assert difference[inside].std() == pytest.approx(NOISE_HU, rel=0.02)


def test_a_bare_threshold_joins_both_lungs() -> None:
    """Above the carina too, where no airway can, the junction line lets both lungs run together: it is too thin."""
    index = round((40 - SMALL.affine_lps[2, 3]) / SMALL.slice_spacing_mm)
    found = truth(SMALL).regions
    dark = sitk.GetImageFromArray((scan(SMALL)[index] < -500).astype(np.uint8))
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(dark))
    right, left = (np.bincount(labels[found[key].mask[index]])[1:].argmax() for key in (RIGHT, LEFT))
    assert right == left


@pytest.mark.slow
def test_noisy_demonstration_agrees_with_its_truth() -> None:
    """Strictly below -950 HU and mean HU, counted within the true lungs, come out as the truth says."""
    image, found = scan(DEMO), truth(DEMO)
    for key in (RIGHT, LEFT):
        lung = image[found.regions[key].mask]
        assert 100 * np.mean(lung < -950) == pytest.approx(found.low_percent[key], abs=2)
        assert lung.mean() == pytest.approx(found.mean_hu[key], abs=1)


@pytest.mark.real("dicom3tools")
@pytest.mark.parametrize("name", ["axial", "oblique", "feet-first"])
def test_validator_finds_no_error_in_the_study(name: str, tmp_path: Path) -> None:
    paths = write_study(tmp_path, coarse(VARIANTS[name]))
    image = subprocess.run(["dciodvfy", "-new", paths[0]], capture_output=True, text=True)
    assert [line for line in image.stderr.splitlines() if line.startswith(("Error", "Warning"))] == []
    study = subprocess.run(["dcentvfy", *paths], capture_output=True, text=True)
    assert "Error" not in study.stderr
