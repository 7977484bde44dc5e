"""Masks of any size, sparse or overlapping, come back from a Segmentation as another's reader reads its bytes."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.findings import Findings, Segment
from node.errors import ResultUnsound
from node.results.checks import check_common, read_back
from node.results.origin import read_origin
from node.results.profile import Profile, SegmentationType
from node.results.segmentation import build_segmentation
from node.results.segmentation_check import check_segmentation
from node.results.stamp import Edition
from tests.unit.results.made import CARD, OBLIQUE, RUN, Made, make_series

SIZES = ((1, 1, 1), (1, 3, 5), (5, 3, 3), (9, 7, 13), (4, 8, 8), (17, 5, 2))
"""Slices, rows and columns: frames of 1, 9, 10, 15, 64 and 91 pixels."""


def images(folder: Path, shape: tuple[int, int, int]) -> Made:
    return make_series(folder / "source", slices=shape[0], rows=shape[1], columns=shape[2], orientation=OBLIQUE)


@pytest.fixture(scope="module", params=SIZES, ids=str)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Path]:
    """Images of one size, and a folder of their own."""
    folder = tmp_path_factory.mktemp("frames")
    return images(folder, request.param), folder


def edition(made: Made, form: SegmentationType) -> Edition:
    origin = read_origin(made.grid, made.paths)
    return Edition(origin, CARD, RUN, "", as_unicode=False, profile=Profile(segmentation=form))


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, int, int]) -> list[np.ndarray]:
    """One for each segment of the card: dense, sparse or empty; overlapping or not."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    densities = [draw(st.sampled_from([0.0, 0.02, 0.5, 1.0])) for _ in CARD.segments]
    found = [random.random(shape) < density for density in densities]
    if draw(st.booleans()):
        found[1] &= ~found[0]
        found[2] &= ~(found[0] | found[1])
    return found


@pytest.mark.parametrize("form", SegmentationType)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_masks_come_back_from_any_segmentation(
    source: tuple[Made, Path], form: SegmentationType, data: st.DataObject
) -> None:
    """Every voxel, by the source image that its frame names; and our own check of the bytes agrees."""
    made, folder = source
    shape = made.volume.array.shape
    expected = data.draw(masks(shape))
    segments = [Segment(one.key, mask, "ct") for one, mask in zip(CARD.segments, expected, strict=True)]
    findings, run = Findings(tuple(segments)), edition(made, form)
    built = build_segmentation(findings, run)
    present = [mask for mask in expected if mask.any()]
    if built is None:
        assert not present
        return
    path = folder / "seg.dcm"
    built.save_as(path, enforce_file_format=True)

    found = read_back(path, built)
    check_common(path, found, run, [*run.origin.instances, found.SOPInstanceUID])
    check_segmentation(path, found, findings, run)
    pixels = hd.seg.segread(path).get_pixels_by_source_instance(
        list(run.origin.instances), assert_missing_frames_are_empty=True
    )
    numbered = pixels[..., -len(present) :]  # a label map's first is its background
    assert np.array_equal(numbered, np.stack(present, axis=-1))


@pytest.mark.parametrize("form", SegmentationType)
def test_a_pixel_too_many_is_found(form: SegmentationType, tmp_path: Path) -> None:
    """Of a frame whose bits share their bytes with the frames beside it."""
    made = images(tmp_path, (9, 7, 13))
    whole = np.zeros((9, 7, 13), np.bool_)
    whole[2:6, 1:5, 2:7] = True
    findings, run = Findings((Segment(CARD.segments[0].key, whole, "ct"),)), edition(made, form)
    built = build_segmentation(findings, run)
    assert built is not None
    other = whole.copy()
    other[4, 6, 12] = True

    built.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    found = read_back(tmp_path / "seg.dcm", built)

    with pytest.raises(ResultUnsound, match="differs from slice 5"):
        check_segmentation(tmp_path / "seg.dcm", found, Findings((replace(findings.segments[0], mask=other),)), run)
