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
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
)

from ai.contract import ModelCard
from ai.findings import Findings, Map, Segment
from node.rehearsal.modality import send_study
from node.results.encode import Profile, encode
from node.results.profile import Coordinates, ReportClass
from tests.makers.orthanc import running_orthanc
from tests.unit.results.kinds import EVERY_KIND, FLAT_CARD, FULL_CARD, flat_findings, full_findings, make_radiograph
from tests.unit.results.made import CARD, RUN, STUDY, Made, make_findings, make_series

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.makers.ohif import Viewer

pytestmark = [pytest.mark.real("orthanc", "chromium", "ohif"), pytest.mark.slow, pytest.mark.timeout(900)]
SLICES, ROWS, COLUMNS = 12, 128, 120
USUAL = Profile()
IN_PATIENT = replace(EVERY_KIND, report=ReportClass.COMPREHENSIVE_3D, coordinates=Coordinates.PATIENT)
NEAR = (4, 4)
"""Screen pixels: two thirds of a voxel; lines are dashed."""
MAP_TRIES = 3
HARDLY = 0.005
"""Share of the picture that is coloured where nothing is drawn over it."""
AGREES = 0.9
"""Dice of what is coloured on the screen with the truth; the edge of a segment is drawn a little wider than it is."""


def shifted(findings: Findings, columns: int) -> Findings:
    """Every mask moved, as by an error of geometry."""
    moved = [Segment(one.key, np.roll(one.mask, columns, axis=2), one.grid) for one in findings.segments]
    return replace(findings, segments=tuple(moved))


@contextmanager
def seen(
    browser: "Browser", folder: Path, made: Made, findings: Findings, card: ModelCard = CARD, profile: Profile = USUAL
) -> "Iterator[Viewer]":
    """The viewer with a study and its results open; whatever is opened there, it has nothing to complain about."""
    from tests.makers.ohif import ohif

    (folder / "out").mkdir()
    results = encode(findings, card, made.grid, made.paths, RUN, folder / "out", volume=made.volume, profile=profile)
    with running_orthanc(folder / "pacs") as pacs, ohif(browser, f"{pacs.url}/dicom-web") as viewer:
        files = [*made.paths.values(), *(one.path for one in results)]
        send_study(files, "127.0.0.1", pacs.port, "CT", pacs.ae_title)
        viewer.open(STUDY)
        yield viewer
        assert viewer.complaints == []


def source(folder: Path) -> Made:
    return make_series(folder / "source", slices=SLICES, rows=ROWS, columns=COLUMNS, spacing_mm=(5.0, 2.0, 2.0))


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from tests.makers.ohif import running_browser

    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def sound(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[Viewer, Findings]]":
    """What is sent without being asked for, of segments and their measurements."""
    folder = tmp_path_factory.mktemp("sound")
    made = source(folder)
    truth = make_findings(made)
    with seen(browser, folder, made, truth) as viewer:
        yield viewer, truth


@pytest.fixture(scope="module")
def everything(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[Viewer, Findings]]":
    """Every kind of result, detections in the patient (SCOORD3D); the map is high in the upper half alone."""
    folder = tmp_path_factory.mktemp("everything")
    made = source(folder)
    suspicion = np.zeros(made.volume.array.shape, np.float32)
    suspicion[SLICES // 2 :, 30:60, 70:100] = 0.9
    truth = replace(full_findings(made), maps=(Map("suspicion", suspicion, "ct"),), derived=())
    with seen(browser, folder, made, truth, FULL_CARD, IN_PATIENT) as viewer:
        yield viewer, truth


RADIOGRAPHS = {
    "CR": {"SOPClassUID": ComputedRadiographyImageStorage, "WindowCenter": 500},
    "DX": {"SOPClassUID": DigitalXRayImageStorageForPresentation, "WindowCenter": 500},
    "MG": {
        "SOPClassUID": DigitalMammographyXRayImageStorageForPresentation,
        "WindowCenter": 4095 - 500,
        "photometric": "MONOCHROME1",
    },
}
"""Bright from edge to edge."""


@pytest.fixture(scope="module", params=RADIOGRAPHS)
def radiograph(
    request: pytest.FixtureRequest, browser: "Browser", tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[tuple[Viewer, Findings]]":
    """What is sent of a radiograph without being asked for."""
    folder = tmp_path_factory.mktemp("radiograph")
    made = make_radiograph(folder / "source", Modality=request.param, **RADIOGRAPHS[request.param])
    truth = flat_findings(made)
    with seen(browser, folder, made, truth, FLAT_CARD) as viewer:
        yield viewer, truth


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


def test_the_report_is_drawn_where_its_region_is(sound: "tuple[Viewer, Findings]") -> None:
    """A reader who opens the report sees an outline on the slice and at the edge it belongs to, with its numbers."""
    viewer, truth = sound
    viewer.open_series("AI lung-ct SR")
    picture, index = viewer.picture(), shown_slice(viewer)

    assert max(border_drawn(picture, mask(truth, index, one.key)) for one in truth.segments) > 0.9
    assert max(border_drawn(picture, mask(shifted(truth, 20), index, one.key)) for one in truth.segments) < 0.5
    assert "Volume" in viewer.drawn_text()


def test_the_segmentation_lies_where_the_anatomy_is(sound: "tuple[Viewer, Findings]") -> None:
    viewer, truth = sound
    viewer.open_series("AI lung-ct SEG")
    picture = viewer.picture()
    right = picture[on_screen(mask(truth, shown_slice(viewer), "right-lung"), picture.shape[:2])]

    assert agreement(viewer, truth) > AGREES
    assert (right[:, 2] > right[:, 0]).mean() > 0.8  # the card's blue


def test_a_shifted_segmentation_would_be_noticed(browser: "Browser", tmp_path: Path) -> None:
    """The same look at masks that lie 20 voxels beside the anatomy does not pass."""
    made = source(tmp_path)
    truth = make_findings(made)
    with seen(browser, tmp_path, made, shifted(truth, 20)) as viewer:
        viewer.open_series("AI lung-ct SEG")

        assert is_coloured(viewer.picture()).any()
        assert agreement(viewer, truth) < 0.7


def test_the_text_can_be_read(sound: "tuple[Viewer, Findings]") -> None:
    viewer, _ = sound
    viewer.open_series("AI lung-ct text")
    text = viewer.text()

    assert "Right lung: Volume 231 mL" in text
    assert "not reviewed by a physician" in text


def test_the_summary_is_shown(sound: "tuple[Viewer, Findings]") -> None:
    """Its first page is white paper with words; nothing of the CT is left on the screen."""
    viewer, _ = sound
    before = viewer.shown()
    viewer.open_series("AI lung-ct summary")

    assert np.abs(viewer.shown().astype(int) - before).mean() > 1
    assert viewer.page.locator(".cornerstone-canvas").count() == 1


def test_detections_in_the_patient_are_drawn_where_they_are(everything: "tuple[Viewer, Findings]") -> None:
    """With every segment's outline, and their numbers, from a Comprehensive 3D SR."""
    viewer, truth = everything
    viewer.open_series("AI lung-ct SR")
    picture, index = viewer.picture(), shown_slice(viewer)

    assert max(border_drawn(picture, mask(truth, index, one.key)) for one in truth.segments) > 0.9
    assert "Volume" in viewer.drawn_text()


def test_a_structure_set_is_drawn_where_the_anatomy_is(everything: "tuple[Viewer, Findings]") -> None:
    viewer, truth = everything
    viewer.open_series("AI lung-ct RTSTRUCT")

    assert border_drawn(viewer.picture(), mask(truth, shown_slice(viewer), "right-lung")) > 0.9


def test_the_document_is_shown(everything: "tuple[Viewer, Findings]") -> None:
    """White paper in the browser's own reader, which takes the pane."""
    viewer, _ = everything
    viewer.open_series("AI lung-ct PDF")

    assert viewer.page.locator(".cornerstone-canvas").count() == 0
    assert (viewer.shown() > 250).all(axis=2).mean() > 0.1


@pytest.mark.parametrize("kind", ["key images", "GSPS"])
def test_what_the_viewer_cannot_show_leaves_the_pane_as_it_was(
    everything: "tuple[Viewer, Findings]", kind: str
) -> None:
    viewer, _ = everything
    viewer.open_series("AI lung-ct text")
    viewer.open_series(f"AI lung-ct {kind}")

    assert "not reviewed by a physician" in viewer.text()


def test_a_map_is_coloured_where_it_is_high(everything: "tuple[Viewer, Findings]") -> None:
    """On the slice in the middle, the last on which it is. The pane keeps the map's colours: this is opened last.

    OHIF draws a map over images that it holds as a volume. Where it does not yet, it shows the images alone, whatever
    the map, until they and the map are opened once more.
    """
    viewer, truth = everything
    viewer.open_series("AI lung-ct map Suspicion")
    for _ in range(MAP_TRIES):
        if is_coloured(viewer.picture()).mean() > HARDLY:
            break
        viewer.open_series("Thorax 5.0")
        viewer.open_series("AI lung-ct map Suspicion")
    picture = viewer.picture()
    high = on_screen(truth.maps[0].values[shown_slice(viewer)] > 0, picture.shape[:2])

    assert high.any()
    assert is_coloured(picture)[high].mean() > 0.9
    assert is_coloured(picture)[~high].mean() < 0.05


def test_the_report_on_a_radiograph_is_drawn_on_it(radiograph: "tuple[Viewer, Findings]") -> None:
    viewer, truth = radiograph
    viewer.open_series("AI chest-xr SR")
    picture = viewer.picture()

    assert border_drawn(picture, mask(truth, 0, "left-lung")) > 0.9
    assert "0.80" in viewer.drawn_text()


def test_the_summary_and_text_of_a_radiograph_can_be_read(radiograph: "tuple[Viewer, Findings]") -> None:
    viewer, _ = radiograph
    before = viewer.shown()
    viewer.open_series("AI chest-xr summary")

    assert np.abs(viewer.shown().astype(int) - before).mean() > 1
    viewer.open_series("AI chest-xr text")
    assert "not reviewed by a physician" in viewer.text()
