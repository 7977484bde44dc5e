"""lung-ct on a small made chest: what is lung, which side is which, what is measured, what is refused."""

from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ai.card import read_card
from ai.device import Device
from ai.errors import ModelRefused
from ai.findings import Findings, Mask
from ai.models.lung_ct import MODEL
from ai.models.lung_ct import model as lung_ct_model
from ai.models.lung_ct.lungs import CoarseLungs
from ai.models.lung_ct.measures import low_attenuation, measure
from ai.models.lung_ct.morphology import block_means
from ai.models.lung_ct.outline import outlines
from ai.models.lung_ct.parting import LEFT as LEFT_SIDE
from ai.models.lung_ct.parting import RIGHT as RIGHT_SIDE
from ai.registry import find_model
from ai.volume import Facts, Inputs, Volume

SPACING_MM = (4.0, 3.5, 3.5)
SHAPE = (64, 80, 100)
RIGHT, LEFT, BOTH = ("right-lung",), ("left-lung",), ("right-lung", "left-lung")
LUNG, AIR, TISSUE = -860, -1000, 40


class Chest:
    """A made chest on axes (head, back, left), the midline at LPS x = 0: the image and the truth it was made from."""

    def __init__(self, *, touching: bool = False) -> None:
        self.affine = np.zeros((4, 4))
        self.affine[2, 0], self.affine[1, 1], self.affine[0, 2] = SPACING_MM
        self.affine[:3, 3] = -(SHAPE[2] - 1) * SPACING_MM[2] / 2, -(SHAPE[1] - 1) * SPACING_MM[1] / 2, 0.0
        self.affine[3, 3] = 1.0
        z, y, x = np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij")
        self.z = z * SPACING_MM[0]
        self.y = y * SPACING_MM[1] + self.affine[1, 3]
        self.x = x * SPACING_MM[2] + self.affine[0, 3]
        self.hu = np.full(SHAPE, AIR, dtype=np.int16)
        self.hu[(self.x / 160) ** 2 + (self.y / 105) ** 2 < 1] = TISSUE
        rounded = ((np.abs(self.x) - 65) / 60) ** 2 + (self.y / 80) ** 2 + ((self.z - 130) / 90) ** 2 < 1
        if touching:
            rounded |= (np.abs(self.x) < 65) & (self.y > -70) & (self.y < -25) & (np.abs(self.z - 130) < 60)
        between_mm = np.where(self.y < -25, 0.0, 24.0) if touching else 12.0
        self.right = rounded & (self.x < -between_mm)
        self.left = rounded & (self.x > between_mm)
        self.hu[self.right | self.left] = LUNG
        self.trachea = (self.x**2 + (self.y - 20) ** 2 < 8**2) & (self.z > 140)
        along = np.abs(self.x)
        bronchi = (along < 30) & ((self.z - 142 + 0.6 * along) ** 2 + (self.y - 20) ** 2 < 6**2)
        wall = (self.x**2 + (self.y - 20) ** 2 < 11**2) & (self.z > 140)
        self.hu[wall] = TISSUE
        self.hu[self.trachea | (bronchi & ~self.right & ~self.left)] = AIR
        self.right &= ~wall
        self.left &= ~wall

    def ball(self, x_mm: float, y_mm: float, z_mm: float, radius_mm: float) -> Mask:
        """A ball in the chest."""
        return (self.x - x_mm) ** 2 + (self.y - y_mm) ** 2 + (self.z - z_mm) ** 2 < radius_mm**2

    def volume(self, modality: str = "CT") -> Volume:
        return Volume(self.hu, self.affine, SPACING_MM, Facts(modality=modality))


def run(volume: Volume, threads: int = 2) -> Findings:
    with MODEL.open(Device(threads=threads)) as predict:
        return predict(Inputs({"ct": volume}, "ct"))


def masks(findings: Findings) -> tuple[Mask, Mask]:
    found = [findings.segment(key) for key in BOTH]
    assert all(found)
    return found[0].mask, found[1].mask


def values(findings: Findings) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(one.key, one.segments): one.value for one in findings.measurements}


def dice(one: Mask, other: Mask) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


def turned(volume: Volume, order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """The same voxels at the same places, with the array's axes in another order and direction."""
    reverse = tuple(axis for axis in range(3) if flips[axis])
    array = np.ascontiguousarray(np.flip(volume.array.transpose(order), reverse))
    affine = volume.affine_lps.copy()
    affine[:3, :3] = affine[:3, order]
    for axis in reverse:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(array, affine, tuple(volume.spacing_mm[axis] for axis in order), volume.facts)


@pytest.fixture(scope="module")
def chest() -> Chest:
    return Chest()


@pytest.fixture(scope="module")
def findings(chest: Chest) -> Findings:
    return run(chest.volume())


def test_both_lungs_are_found_each_on_its_own_side(chest: Chest, findings: Findings) -> None:
    """The right lung is the one towards smaller LPS x."""
    right, left = masks(findings)

    assert dice(right, chest.right) > 0.97
    assert dice(left, chest.left) > 0.97
    assert not (right & chest.left).any()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_findings_do_not_depend_on_how_the_array_lies(chest: Chest, findings: Findings, order: tuple[int, ...]) -> None:
    """Sagittal, coronal, feet first, reversed: the same voxels are found, and measured the same."""
    flips = [(False, False, True), (True, True, False)][sum(order[:2]) % 2]
    found = run(turned(chest.volume(), order, flips))
    reverse = tuple(axis for axis in range(3) if flips[axis])

    for there, here in zip(masks(found), masks(findings), strict=True):
        assert np.array_equal(there, np.flip(here.transpose(order), reverse))
    assert values(found) == pytest.approx(values(findings))


def test_mirrored_geometry_swaps_the_sides(chest: Chest, findings: Findings) -> None:
    """Sides come from the affine alone: one that runs the other way makes the other lung the right one."""
    volume = chest.volume()
    mirrored = volume.affine_lps.copy()
    mirrored[0] *= -1
    right, left = masks(run(Volume(volume.array, mirrored, volume.spacing_mm, volume.facts)))

    assert np.array_equal(right, masks(findings)[1])
    assert np.array_equal(left, masks(findings)[0])


def test_an_oblique_stack_finds_the_same_lungs(chest: Chest) -> None:
    """A chest lying 20 degrees askew in the scanner: the side with smaller LPS x is still the right one."""
    turn = np.radians(20)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    volume = chest.volume()
    right, left = masks(run(Volume(volume.array, matrix @ volume.affine_lps, volume.spacing_mm)))

    assert dice(right, chest.right) > 0.97
    assert dice(left, chest.left) > 0.97


def test_touching_lungs_are_parted_along_the_line_between_them() -> None:
    """In front the lungs touch at a bent sheet of half density, thinner than a voxel: each keeps its own side."""
    chest = Chest(touching=True)
    bend = 20 * np.sin(chest.z / 30)
    sheet = (np.abs(chest.x - bend) < 2) & (chest.y < -25) & (chest.right | chest.left)
    chest.hu[sheet] = -640
    chest.hu += np.random.default_rng(7).normal(0, 25, SHAPE).astype(np.int16)
    right, left = masks(run(chest.volume()))
    in_front = (chest.y < -30) & (np.abs(chest.x - bend) > 4)

    assert np.count_nonzero(in_front & right) > 1000
    assert not (in_front & right & (chest.x > bend)).any()
    assert not (in_front & left & (chest.x < bend)).any()


def test_trachea_is_out_and_what_a_lung_encloses_is_in(chest: Chest) -> None:
    """A vessel and a nodule inside the lung belong to it; the trachea and its main bronchi do not."""
    made = Chest()
    nodule = made.ball(-70, 10, 130, 14)
    vessel = (np.abs(made.y - 30) < 4) & (np.abs(made.z - 110) < 4) & made.left
    made.hu[nodule | vessel] = TISSUE
    right, left = masks(run(made.volume()))

    assert right[nodule].all()
    assert left[vessel].mean() > 0.9
    assert not (right | left)[chest.trachea].any()


def test_stomach_gas_under_the_diaphragm_is_not_lung() -> None:
    """Gas that reaches into the base of the left lung, behind a thin wall, is left out; the lung above it stays."""
    chest = Chest()
    wall, gas = chest.ball(65, 0, 30, 36), chest.ball(65, 0, 30, 32)
    chest.hu[wall] = TISSUE
    chest.hu[gas] = AIR
    chest.hu[chest.ball(65, 0, 62, 5)] = AIR  # a breach in the wall
    right, left = masks(run(chest.volume()))

    assert np.count_nonzero((left | right) & gas) < 0.01 * np.count_nonzero(gas)
    assert dice(left, chest.left & ~wall) > 0.95


def test_the_table_and_padding_are_not_lung(findings: Findings) -> None:
    """A hollow table that the back lies on, and padding outside the field of view, change nothing."""
    made = Chest()
    table = (made.y > 102) & (made.y < 130) & (np.abs(made.x) < 104)
    made.hu[table & (made.hu < -500)] = 30
    made.hu[table & (made.y > 106) & (made.y < 126) & (np.abs(made.x) < 100)] = -930
    made.hu[made.x**2 + made.y**2 > 168**2] = -2048

    for there, here in zip(masks(run(made.volume())), masks(findings), strict=True):
        assert np.array_equal(there, here)


def test_the_number_of_threads_changes_nothing(chest: Chest, findings: Findings) -> None:
    """One thread finds what two threads find."""
    for there, here in zip(masks(run(chest.volume(), threads=1)), masks(findings), strict=True):
        assert np.array_equal(there, here)


def test_float_values_give_the_same_findings(chest: Chest, findings: Findings) -> None:
    """HU as float32, as after a rescale slope other than one, are HU all the same."""
    volume = chest.volume()
    found = run(Volume(volume.array.astype(np.float32), volume.affine_lps, volume.spacing_mm))

    assert values(found) == pytest.approx(values(findings))


def test_a_lung_without_low_attenuation_has_an_empty_segment_and_zero_percent(findings: Findings) -> None:
    """No voxel below -950 HU is a finding, not a failure."""
    low = findings.segment("low-attenuation")

    assert low is not None
    assert not low.mask.any()
    assert values(findings)["laa-950", BOTH] == 0.0
    assert values(findings)["volume", ("low-attenuation",)] == 0.0


def test_measures_are_those_of_the_encoded_voxels() -> None:
    """Volume, mean, percentile and shares are recomputed from the masks alone, of values left as they were."""
    made = Chest()
    made.hu[made.right & (made.z > 150)] = -1030
    volume = made.volume()
    found = run(volume)
    measured = values(found)

    for segments in (RIGHT, LEFT, BOTH):
        inside = made.hu[np.logical_or.reduce([found.segment(key).mask for key in segments])].astype(np.float64)
        assert measured["volume", segments] == pytest.approx(inside.size * 4.0 * 3.5 * 3.5 / 1000)
        assert measured["mean-density", segments] == pytest.approx(inside.mean())
        assert measured["density-p15", segments] == pytest.approx(np.percentile(inside, 15, method="linear"))
        assert measured["laa-950", segments] == pytest.approx(100 * (inside < -950).mean())
        assert measured["laa-910", segments] == pytest.approx(100 * (inside < -910).mean())


def test_thresholds_are_strict_and_values_unclipped() -> None:
    """-950 itself is not below -950; -2000 counts as -2000; the percentile lies between two values, linearly."""
    hu = np.array([[[-2000, -951, -950, -949, -911, -910, -909, 100]]], dtype=np.int16)
    lung = np.ones(hu.shape, dtype=np.bool_)
    low = low_attenuation(hu, lung)
    measured = {(one.key, one.segments): one.value for one in measure(hu, 0.5, lung, lung, low)}

    assert low.ravel().tolist() == [True, True, False, False, False, False, False, False]
    assert measured["laa-950", RIGHT] == 25.0
    assert measured["laa-910", RIGHT] == 62.5
    assert measured["mean-density", RIGHT] == hu.mean()
    assert measured["density-p15", RIGHT] == pytest.approx(-951 + 0.05)
    assert measured["volume", ("low-attenuation",)] == 1.0


def with_no_left_lung(chest: Chest) -> None:
    chest.hu[chest.left] = TISSUE


def with_a_small_left_lung(chest: Chest) -> None:
    chest.hu[chest.left & (chest.z < 165)] = TISSUE


def with_no_trachea(chest: Chest) -> None:
    chest.hu[(np.abs(chest.x) < 12) & (chest.hu < -900) & (chest.y > -30) & (chest.y < 60)] = TISSUE


def as_raw_values(chest: Chest) -> None:
    chest.hu += 1024


def with_nothing_but_air(chest: Chest) -> None:
    chest.hu[:] = AIR


def with_an_open_chest_wall(chest: Chest) -> None:
    chest.hu[(chest.x > 60) & (np.abs(chest.y) < 40) & (np.abs(chest.z - 180) < 10)] = AIR


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (with_no_left_lung, "no plausible left lung"),
        (with_a_small_left_lung, "left lung holds less than a third"),
        (with_no_trachea, "no trachea"),
        (as_raw_values, "not Hounsfield units"),
        (with_nothing_but_air, "not Hounsfield units"),
        (with_an_open_chest_wall, "open to the air outside"),
    ],
)
def test_what_is_no_pair_of_whole_lungs_is_refused(spoil, reason: str) -> None:
    """A chest that cannot be measured is refused with its reason, never answered with empty lungs."""
    chest = Chest()
    spoil(chest)

    with pytest.raises(ModelRefused, match=reason):
        run(chest.volume())


@pytest.mark.parametrize("kept", [slice(0, 48), slice(24, 64)], ids=["apex cut", "base cut"])
def test_lungs_cut_by_the_scan_are_refused(chest: Chest, kept: slice) -> None:
    """A scan that ends inside a lung gives no volume."""
    volume = chest.volume()

    with pytest.raises(ModelRefused, match="first or last slice cuts"):
        run(Volume(volume.array[kept], volume.affine_lps, volume.spacing_mm))


def test_other_images_are_refused(chest: Chest) -> None:
    """An MR, a volume without a place in the patient, and values that are not numbers are no CT of the chest."""
    volume = chest.volume()
    holed: npt.NDArray[np.float32] = volume.array.astype(np.float32)
    holed[0, 0, 0] = np.nan

    with pytest.raises(ModelRefused, match="are MR, not CT"):
        run(chest.volume(modality="MR"))
    with pytest.raises(ModelRefused, match="no position and orientation"):
        run(Volume(volume.array, None, None))
    with pytest.raises(ModelRefused, match="not numbers"):
        run(Volume(holed, volume.affine_lps, volume.spacing_mm))


def test_remarks_name_what_spoils_the_numbers() -> None:
    """A lung cut a little and contrast medium are said in the summary."""
    chest = Chest()
    volume = chest.volume()
    cut = Volume(volume.array[12:], volume.affine_lps, volume.spacing_mm, Facts(modality="CT", contrast=True))
    text = " ".join(run(cut).summary)

    assert "cuts the lungs" in text
    assert "Contrast medium" in text


def test_every_finding_is_declared_on_the_card(findings: Findings) -> None:
    """Segments and measurements carry keys of the card, one measurement of a kind for each lung and for both."""
    assert [one.key for one in findings.segments] == [one.key for one in MODEL.card.segments]
    assert {one.key for one in findings.measurements} == {one.key for one in MODEL.card.measurements}
    assert len(findings.measurements) == 3 * len(MODEL.card.measurements) + 1


def test_the_model_is_found_by_its_entry_point() -> None:
    """Installed as lung-ct."""
    assert find_model("lung-ct") is MODEL


def test_the_digest_covers_code_and_card(tmp_path) -> None:
    """Every module and the card beside it decide the digest: one changed byte changes it."""
    here = Path(lung_ct_model.__file__).parent
    for file in [*here.glob("*.py"), here / "card.toml"]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    same = read_card(tmp_path / "card.toml", decided_by=tmp_path.glob("*.py")).digest
    (tmp_path / "parting.py").write_bytes(b"#" + (tmp_path / "parting.py").read_bytes())
    other = read_card(tmp_path / "card.toml", decided_by=tmp_path.glob("*.py")).digest

    assert same == MODEL.card.digest
    assert other != same


def test_padding_weighs_no_more_than_air_in_a_block() -> None:
    """A block of half padding, half tissue reads as one of half air, so that it stays outside the body."""
    hu = np.array([[[-2048, 40]]], dtype=np.int16)

    assert block_means(hu, (1, 1, 2)).tolist() == [[[(-1024 + 40) / 2]]]


def test_the_cut_between_touching_lungs_lies_on_the_sheet_not_on_the_blocks() -> None:
    """A sheet one voxel beside the blocks' border decides, voxel by voxel."""
    hu = np.full((16, 16, 32), LUNG, dtype=np.int16)
    hu[:, :, 17] = -600
    sides = np.full((8, 8, 16), RIGHT_SIDE, dtype=np.uint8)
    sides[:, :, 8:] = LEFT_SIDE
    nothing = np.zeros(sides.shape, dtype=np.bool_)
    right, left = outlines(hu, CoarseLungs(sides, nothing, nothing, 0.0), (2, 2, 2), (1.0, 1.0, 1.0))

    assert right[:, :, :17].all()
    assert left[:, :, 18:].all()
    assert not right[:, :, 18:].any()
    assert not left[:, :, :17].any()
