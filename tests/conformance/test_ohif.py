"""What a radiologist sees of our results in OHIF, in a real browser over a real PACS."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813  - its own name for itself

from ai.findings import Findings, Segment
from node.rehearsal.modality import send_study
from node.results.encode import encode
from tests.makers.orthanc import running_orthanc
from tests.unit.results.made import CARD, RUN, STUDY, Made, make_findings, make_series

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.makers.ohif import Viewer

pytestmark = [pytest.mark.real("orthanc", "chromium", "ohif"), pytest.mark.slow, pytest.mark.timeout(900)]
SLICES, ROWS, COLUMNS = 12, 128, 120
NEAR = (4, 4)
"""Screen pixels: two thirds of a voxel; lines are dashed."""
AGREES = 0.9
"""Dice of what is coloured on the screen with the truth; the edge of a segment is drawn a little wider than it is."""


def shifted(findings: Findings, columns: int) -> Findings:
    """Every mask moved, as by an error of geometry."""
    moved = [Segment(one.key, np.roll(one.mask, columns, axis=2), one.grid) for one in findings.segments]
    return replace(findings, segments=tuple(moved))


@contextmanager
def seen(browser: "Browser", folder: Path, shift: int = 0) -> "Iterator[tuple[Viewer, Made, Findings]]":
    """The viewer with the study open; the source and its true findings."""
    from tests.makers.ohif import ohif

    made = make_series(folder / "source", slices=SLICES, rows=ROWS, columns=COLUMNS, spacing_mm=(5.0, 2.0, 2.0))
    truth = make_findings(made)
    (folder / "out").mkdir()
    results = encode(shifted(truth, shift), CARD, made.grid, made.paths, RUN, folder / "out", volume=made.volume)
    with running_orthanc(folder / "pacs") as pacs, ohif(browser, f"{pacs.url}/dicom-web") as viewer:
        files = [*made.paths.values(), *(one.path for one in results)]
        send_study(files, "127.0.0.1", pacs.port, "CT", pacs.ae_title)
        viewer.open(STUDY)
        yield viewer, made, truth


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from tests.makers.ohif import running_browser

    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def sound(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[Viewer, Made, Findings]]":
    with seen(browser, tmp_path_factory.mktemp("sound")) as found:
        yield found


def shown_slice(viewer: "Viewer") -> int:
    """Index in the volume: the series is numbered against it."""
    return SLICES - viewer.instance_number()


def mask(findings: Findings, index: int, *keys: str) -> npt.NDArray[np.bool_]:
    masks = {one.key: one.mask[index] for one in findings.segments}
    return np.logical_or.reduce([masks[key] for key in keys or masks])


def is_coloured(picture: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """What is drawn over a grey image."""
    return np.ptp(picture, axis=2) > 30


def agreement(viewer: "Viewer", truth: Findings) -> float:
    """Dice of the coloured part of the image with every segment on that slice."""
    coloured = is_coloured(viewer.picture())
    expected = on_screen(mask(truth, shown_slice(viewer)), coloured.shape)
    return float(2 * (coloured & expected).sum() / max(1, coloured.sum() + expected.sum()))


def border_drawn(picture: npt.NDArray[np.int16], region: npt.NDArray[np.bool_]) -> float:
    """Which part of a region's border has something coloured drawn on it."""
    inside = sitk.GetImageFromArray(on_screen(region, picture.shape[:2]).astype(np.uint8))
    border = sitk.GetArrayFromImage(sitk.BinaryContour(inside)) > 0
    coloured = sitk.GetImageFromArray(is_coloured(picture).astype(np.uint8))
    near = sitk.GetArrayFromImage(sitk.BinaryDilate(coloured, NEAR)) > 0
    return float(near[border].mean()) if border.any() else 0.0


def on_screen(region: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """A region of the image's pixels as large as the image is on the screen."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(shape, region.shape, strict=True))
    return region[rows][:, columns]


def test_the_report_is_drawn_where_its_region_is(sound: "tuple[Viewer, Made, Findings]") -> None:
    """A reader who opens the report sees an outline on the slice and at the edge it belongs to, with its numbers."""
    viewer, _, truth = sound
    viewer.open_series("AI lung-ct SR")
    picture, index = viewer.picture(), shown_slice(viewer)

    assert max(border_drawn(picture, mask(truth, index, one.key)) for one in truth.segments) > 0.9
    assert max(border_drawn(picture, mask(shifted(truth, 20), index, one.key)) for one in truth.segments) < 0.5
    assert "Volume" in viewer.drawn_text()


def test_the_segmentation_lies_where_the_anatomy_is(sound: "tuple[Viewer, Made, Findings]") -> None:
    viewer, _, truth = sound
    viewer.open_series("AI lung-ct SEG")
    picture = viewer.picture()
    right = picture[on_screen(mask(truth, shown_slice(viewer), "right-lung"), picture.shape[:2])]

    assert agreement(viewer, truth) > AGREES
    assert (right[:, 2] > right[:, 0]).mean() > 0.8  # the card's blue


def test_a_shifted_segmentation_would_be_noticed(browser: "Browser", tmp_path: Path) -> None:
    """The same look at masks that lie 20 voxels beside the anatomy does not pass."""
    with seen(browser, tmp_path, shift=20) as (viewer, _, truth):
        viewer.open_series("AI lung-ct SEG")

        assert is_coloured(viewer.picture()).any()
        assert agreement(viewer, truth) < 0.7


def test_the_text_can_be_read(sound: "tuple[Viewer, Made, Findings]") -> None:
    viewer, _, _ = sound
    viewer.open_series("AI lung-ct text")
    text = viewer.text()

    assert "Right lung: Volume 231 mL" in text
    assert "not reviewed by a physician" in text


def test_the_summary_is_shown(sound: "tuple[Viewer, Made, Findings]") -> None:
    """Its first page is white paper with words; nothing of the CT is left on the screen."""
    viewer, _, _ = sound
    before = viewer.shown()
    viewer.open_series("AI lung-ct summary")

    assert np.abs(viewer.shown().astype(int) - before).mean() > 1
    assert viewer.page.locator(".cornerstone-canvas").count() == 1


def test_the_viewer_had_nothing_to_complain_about(sound: "tuple[Viewer, Made, Findings]") -> None:
    """The last test of the module: every kind of object was opened by now."""
    viewer, _, _ = sound

    assert viewer.complaints == []
