"""Masks in memory that is taken up only where they hold anything."""

from pathlib import Path

import numpy as np
import pytest

from ai.exchange import load_findings, save_findings
from ai.findings import Findings, Segment
from ai.masks import mask_from, voxels_by_slice


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 1), (4, 16, 300), (0, 4, 4)])
def test_a_mask_is_its_planes(shape: tuple[int, int, int], density: float) -> None:
    """Every voxel, whatever rows it is on; and its voxels are counted slice by slice."""
    expected = np.random.default_rng(1).random(shape) < density

    mask = mask_from(iter(expected), shape)

    assert mask.dtype == np.bool_
    assert np.array_equal(mask, expected)
    assert voxels_by_slice(mask).tolist() == expected.sum(axis=(1, 2)).tolist()


def test_small_organs_on_a_large_grid_take_little_memory(tmp_path: Path) -> None:
    """Thirty masks of 64 MB, of which each holds a small cube: also after they were written, read and looked at."""
    shape = (256, 512, 512)
    before = resident_mb()
    cube = np.zeros(shape[1:], np.bool_)
    cube[100:140, 200:240] = True
    nothing = np.zeros_like(cube)
    planes = [cube if 40 <= index < 80 else nothing for index in range(shape[0])]
    segments = tuple(Segment(f"organ-{number}", mask_from(planes, shape), "ct") for number in range(30))

    save_findings(Findings(segments[:1]), tmp_path)
    (found,) = load_findings(tmp_path).segments

    assert {int(voxels_by_slice(one.mask).sum()) for one in (*segments, found)} == {40**3}
    assert np.array_equal(found.mask, segments[0].mask)
    assert resident_mb() - before < 200
