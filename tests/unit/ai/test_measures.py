"""Measurements of segments: IBSI's phantom, bodies whose measures are known, and segments that leave some undefined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom.sr._concepts_dict as dictionary
import pytest

from ai.card import read_card
from ai.errors import CardInvalid, ModelFailed, ModelRefused
from ai.findings import Findings, Mask, Segment
from ai.measures.measuring import features, measured
from ai.measures.region import region
from ai.measures.table import FEATURES, Family
from ai.measures.texture import GreyLevels
from ai.volume import Facts, Inputs, Volume
from tests.makers.ibsi import PUBLISHED, agrees, computed

SPACING = (3.0, 0.5, 0.8)
"""Along slices, rows and columns: three lengths, so that a mixed-up axis shows."""


def volume(shape: tuple[int, int, int], values: np.ndarray | None = None) -> Volume:
    affine = np.array([[0, 0, 0.8, 10], [0, 0.5, 0, 20], [3.0, 0, 0, 30], [0, 0, 0, 1]])
    return Volume(np.zeros(shape) if values is None else values, affine, SPACING)


def measures(mask: Mask, values: np.ndarray | None = None) -> dict[str, float]:
    found = region(mask, volume(mask.shape, values))
    assert found is not None
    return dict(features(found, frozenset(Family), GreyLevels(count=8)))


def ellipsoid(radii_mm: tuple[float, float, float]) -> Mask:
    half = [round(radius / step) + 2 for radius, step in zip(radii_mm, SPACING, strict=True)]
    z, y, x = np.meshgrid(*(np.arange(-n, n + 1) * s for n, s in zip(half, SPACING, strict=True)), indexing="ij")
    return (z / radii_mm[0]) ** 2 + (y / radii_mm[1]) ** 2 + (x / radii_mm[2]) ** 2 <= 1


@pytest.mark.parametrize("key", PUBLISHED)
def test_the_digital_phantom_gives_the_published_value(key: str) -> None:
    assert agrees(computed()[key], PUBLISHED[key])


def test_every_feature_of_the_table_is_computed() -> None:
    assert computed().keys() == FEATURES.keys()


def test_an_ellipsoid_has_the_axes_and_the_volume_it_was_made_with() -> None:
    found = measures(ellipsoid((30.0, 12.0, 20.0)))

    assert found["voxel-volume"] == pytest.approx(4 / 3 * np.pi * 30 * 12 * 20, rel=0.01)
    assert found["mesh-volume"] == pytest.approx(found["voxel-volume"], rel=0.01)
    axes = found["major-axis"], found["minor-axis"], found["least-axis"]
    assert axes == pytest.approx(tuple(4 / np.sqrt(5) * radius for radius in (30, 20, 12)), rel=0.01)
    assert found["maximum-3d-diameter"] == pytest.approx(60 + SPACING[0])
    assert (found["long-axis"], found["short-axis"]) == pytest.approx((40, 24), rel=0.03)


def test_the_longest_axis_is_of_one_slice_not_of_the_projection() -> None:
    """Two bars at right angles in two slices: together they are a cross, in each slice a bar."""
    mask = np.zeros((6, 40, 40), np.bool_)
    mask[2, 18:22, 5:35] = True
    mask[3, 4:36, 18:22] = True

    found = measures(mask)

    assert found["long-axis"] == pytest.approx(np.hypot(30 * 0.8, 3 * 0.5), rel=0.02)
    assert found["short-axis"] < 5


def test_the_centroid_is_in_the_patient() -> None:
    mask = np.zeros((8, 20, 30), np.bool_)
    mask[2:5, 6:9, 10:13] = True

    found = measures(mask)

    assert (found["centroid-left"], found["centroid-posterior"], found["centroid-superior"]) == pytest.approx(
        (10 + 11 * 0.8, 20 + 7 * 0.5, 30 + 3 * 3.0)
    )


def test_one_voxel_of_one_value_has_what_is_defined_and_nothing_else() -> None:
    mask = np.zeros((3, 3, 3), np.bool_)
    mask[0, 0, 0] = True

    found = {key: value for key, value in measures(mask, np.full(mask.shape, 7.0)).items() if np.isfinite(value)}

    assert (found["voxel-volume"], found["mean"], found["variance"]) == (pytest.approx(1.2), 7, 0)
    assert not {"elongation", "flatness", "glcm-correlation", "glcm-joint-entropy"} & found.keys()


def test_grey_levels_of_a_fixed_width_do_not_depend_on_the_segment() -> None:
    """What CT needs: the same tissue has the same level in every patient."""
    mask = np.ones((1, 1, 4), np.bool_)
    values = np.array([[[-1000.0, -976.0, -975.0, 40.0]]])
    found = region(mask, volume(mask.shape, values))
    assert found is not None

    assert GreyLevels(width=25, start=-1000).of(found)[found.mask].tolist() == [1, 1, 2, 42]
    assert GreyLevels(count=4).of(found)[found.mask].tolist() == [1, 1, 1, 4]


@pytest.mark.parametrize("levels", [GreyLevels(width=0.01), GreyLevels(width=0.2, start=-2000)], ids=str)
def test_more_grey_levels_than_memory_holds_are_refused_with_their_number(levels: GreyLevels) -> None:
    """Of 100,000 levels co-occurrence would take 80 GB, and the job ended for want of memory."""
    mask = np.ones((1, 1, 4), np.bool_)
    found = region(mask, volume(mask.shape, np.array([[[-1000.0, -980.0, -970.0, 30.0]]])))
    assert found is not None

    with pytest.raises(ModelFailed, match=r"grey_level_width = 0.\d+ makes \d+ grey levels .* from -1000 to 30, more"):
        levels.of(found)


def test_an_image_without_calibration_is_refused() -> None:
    with pytest.raises(ModelRefused, match="calibrated"):
        region(np.ones((1, 2, 2), np.bool_), Volume(np.zeros((1, 2, 2)), None, None))


CARD = """
name = "m"
version = "1"
vendor = "v"
title = "t"
intended_use = "u"
licence = "l"
memory_mb = 1
timeout_s = 1
reference = "mr"

[[input]]
name = "mr"
modality = "{modality}"

[[segment]]
key = "s"
label = "S"
category = ["91723000", "SCT", "Anatomical Structure"]
type = ["39607008", "SCT", "Lung"]
site = ["39607008", "SCT", "Lung"]
colour = "#ffffff"

[[measure]]
segments = ["s"]
{rest}
"""


def card(tmp_path: Path, rest: str, modality: str = "MR") -> Path:
    file = tmp_path / "card.toml"
    file.write_text(CARD.format(rest=rest, modality=modality))
    return file


def test_what_a_card_asks_for_is_measured_and_declared(tmp_path: Path) -> None:
    found = read_card(card(tmp_path, 'features = ["voxel-volume", "mean"]', "CT"))
    mask = np.zeros((4, 4, 4), np.bool_)
    mask[1:3, 1:3, 1:3] = True
    inputs = Inputs({"mr": volume((4, 4, 4), np.full((4, 4, 4), 5.0))}, "mr")
    findings = Findings(segments=(Segment("s", mask, "mr"),))

    added = measured(findings, found, inputs).measurements

    assert [(one.key, one.value, one.segments) for one in added] == [
        ("voxel-volume", pytest.approx(8 * 1.2), ("s",)),
        ("mean", 5.0, ("s",)),
    ]
    assert (found.measurement("mean").unit.value, found.measurement("voxel-volume").unit.value) == ("[hnsf'U]", "mm3")


def test_a_radiograph_has_lengths_in_its_plane_and_no_volume(tmp_path: Path) -> None:
    """It has no depth: a volume in mm³ would be one of a slab that nobody measured."""
    found = read_card(card(tmp_path, 'features = ["voxel-volume", "surface-area", "long-axis", "mean"]'))
    inputs = Inputs({"mr": Volume(np.full((1, 8, 8), 5.0), None, (1.0, 0.2, 0.2))}, "mr")
    findings = Findings(segments=(Segment("s", np.ones((1, 8, 8), np.bool_), "mr"),))

    assert [one.key for one in measured(findings, found, inputs).measurements] == ["long-axis", "mean"]


@pytest.mark.parametrize(
    ("where", "feature", "said"),
    [("detector", "long-axis", True), ("patient", "long-axis", False), ("detector", "mean", False)],
)
def test_whoever_reads_a_length_is_told_that_it_was_measured_at_the_detector(
    tmp_path: Path, where: str, feature: str, said: bool
) -> None:
    """A heart is a tenth larger there than it is: nobody may take the number for one of the patient."""
    found = read_card(card(tmp_path, f'features = ["{feature}"]'))
    image = Volume(np.full((1, 8, 8), 5.0), None, (1.0, 0.2, 0.2), Facts(modality="DX", calibrated_at=where))
    findings = Findings(segments=(Segment("s", np.ones((1, 8, 8), np.bool_), "mr"),), summary=("First.",))

    words = measured(findings, found, Inputs({"mr": image}, "mr")).summary

    assert words[0] == "First."
    assert any("at the detector" in one for one in words) is said


def test_an_empty_segment_has_no_measurements(tmp_path: Path) -> None:
    found = read_card(card(tmp_path, 'features = ["voxel-volume"]'))
    inputs = Inputs({"mr": volume((2, 2, 2))}, "mr")
    findings = Findings(segments=(Segment("s", np.zeros((2, 2, 2), np.bool_), "mr"),))

    assert measured(findings, found, inputs) == replace(findings, measurements=())


@pytest.mark.parametrize(
    ("rest", "fault"),
    [
        ('features = []\n[[measure]]\nsegments = ["t"]\nfeatures = []', "no segment 't'"),
        ('features = ["volumes"]', "no feature is called 'volumes'"),
        ('features = ["glcm-contrast"]', "glcm-contrast needs grey_levels"),
        ('features = ["glcm-contrast"]\ngrey_levels = 1', "grey_levels must be from 2 to 4096, found 1"),
        ('features = ["glcm-contrast"]\ngrey_levels = 200000', "grey_levels must be from 2 to 4096, found 200000"),
        ('features = ["glcm-contrast"]\ngrey_level_width = 0', "grey_level_width must be above 0, found 0"),
        ('features = ["glcm-contrast"]\ngrey_levels = 8\ngrey_level_start = 0.0', "give that too"),
    ],
)
def test_a_card_that_cannot_be_measured_is_refused(tmp_path: Path, rest: str, fault: str) -> None:
    with pytest.raises(CardInvalid, match=fault):
        read_card(card(tmp_path, rest))


def test_codes_are_those_of_the_standard() -> None:
    """PS3.16 as pydicom has it; it lacks IBSI's intensity statistics, whose codes are from the manual."""
    known = {code: names[0] for one in dictionary.concepts["IBSI"].values() for code, names in one.items()}
    ours = {one.name.value: one.name.meaning for one in FEATURES.values() if one.name.scheme == "IBSI"}

    assert {code: meaning for code, meaning in ours.items() if code in known} == {
        code: known[code] for code in ours.keys() & known.keys()
    }
    assert {one.family for one in FEATURES.values() if one.name.scheme == "IBSI" and one.name.value not in known} == {
        Family.INTENSITY
    }
    assert len({one.name.value for one in FEATURES.values()}) == len(FEATURES)


def test_units_are_written_as_the_standard_does() -> None:
    known = {code: names[0] for one in dictionary.concepts["UCUM"].values() for code, names in one.items()}
    units = {one.unit_for(modality) for one in FEATURES.values() for modality in ("CT", "MR")}

    assert {one.value: one.meaning for one in units if one.value in known} == {
        one.value: known[one.value] for one in units if one.value in known
    }
    assert {one.value for one in units} - known.keys() == {"[hnsf'U]2", "/mm"}
