"""The scores of images: each falls as what it scores gets worse, and comes near what was put in."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ai.quality import cut_share, jumps, noise_sd, quality_of, saturated
from ai.volume import Facts, Volume
from node.rehearsal.phantom import SMALL, scan

CHEST = Volume(scan(SMALL, 1), SMALL.affine_lps, SMALL.spacing_mm, Facts(modality="CT"))


def changed(array: np.ndarray) -> Volume:
    return replace(CHEST, array=array)


def falls(scores: list[float]) -> bool:
    return all(later < before for before, later in pairwise(scores))


@pytest.mark.parametrize("sd", [5.0, 40.0, 160.0])
def test_the_noise_that_was_put_in_is_found_beside_edges_and_gradients(sd: float) -> None:
    index = np.indices((6, 120, 120))
    image = 3.0 * index[1] - 2.0 * index[2] + np.where(index[2] > 60, 900.0, 0.0)
    noisy = image + np.random.default_rng(3).normal(0, sd, image.shape)

    assert noise_sd(noisy.astype(np.float32)) == pytest.approx(sd, rel=0.05)


def test_the_score_of_noise_falls_with_noise_and_the_others_stay() -> None:
    random = np.random.default_rng(1)
    found = [quality_of(changed(CHEST.array + random.normal(0, sd, CHEST.array.shape))) for sd in (0, 30, 80, 150, 250)]

    assert falls([one.noise for one in found])
    assert found[0].noise > 0.9
    assert found[-1].noise < 0.3
    assert {one.motion for one in found} == {1.0}


def test_the_score_of_motion_falls_as_every_other_slice_is_moved_further() -> None:
    def moved(voxels: float) -> float:
        array = CHEST.array.astype(np.float32)
        ahead = np.roll(array, 1, axis=2)
        array[::2] += voxels * (ahead[::2] - array[::2])
        return quality_of(changed(array)).motion

    assert quality_of(CHEST).motion == 1.0
    assert falls([moved(voxels) for voxels in (0.4, 0.7, 1.0)])


def test_jumps_are_none_in_a_ramp_and_many_in_a_zigzag() -> None:
    slices = np.arange(9.0, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)

    assert jumps(slices, 0.0) == 0.0
    assert jumps(slices + 10 * (np.arange(9) % 2)[:, None, None].astype(np.float32), 0.0) == pytest.approx(10.0)
    assert jumps(np.ones((9, 4, 4), np.float32), 0.0) is None


def test_metal_and_the_end_of_the_scale_count_as_artefacts() -> None:
    def with_metal(voxels: int) -> float:
        array = CHEST.array.copy()
        array.reshape(-1)[array.size // 2 : array.size // 2 + voxels] = 3000
        return saturated(array.astype(np.float32), "CT")

    assert with_metal(101) == 100 / CHEST.array.size
    clipped = replace(changed(np.clip(CHEST.array, None, 40)), facts=Facts(modality="MR"))
    assert quality_of(clipped).artefact == 0.0
    assert quality_of(CHEST).artefact > 0.9


def test_lungs_that_are_cut_off_lower_the_coverage() -> None:
    count = len(CHEST.array)
    found = [quality_of(changed(CHEST.array[first:])).coverage for first in (0, count // 8, count // 4)]

    assert found[0] > 0.9
    assert falls(found)
    assert found[-1] < 0.5
    assert cut_share(np.array([500.0, 8000.0, 2000.0])) == 0.25
    assert cut_share(np.array([500.0, 800.0, 200.0])) is None


def test_what_cannot_be_told_is_none() -> None:
    flat = quality_of(changed(np.zeros_like(CHEST.array)))
    one_slice = quality_of(replace(changed(CHEST.array[:1]), facts=Facts(modality="CR")))

    assert flat.scores == {}
    assert set(one_slice.scores) == {"noise"}
