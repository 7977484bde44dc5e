"""The phantom in every orientation: what the objects say, by their own geometry, against the analytic truth."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from ai.registry import find_model
from node.core.routing import Arrival, decide, study_names
from node.intake.routes import compile_route
from node.jobs.catalogue import model_facts
from node.jobs.folder import read_folder
from node.jobs.offline import run_model
from node.rehearsal.phantom import VARIANTS, write_study
from node.rehearsal.truth import Truth, truth
from node.rehearsal.verdict import read_numbers
from node.settings import Route

pytestmark = pytest.mark.slow
LUNGS = ("right-lung", "left-lung")
LABELS = {"Right lung": "right-lung", "Left lung": "left-lung", "Lung below -950 HU": "low-attenuation"}
VOLUME_PERCENT = 2.0
LAA_POINTS = 3.0
"""Partial volume on these coarse grids alone makes up two points: see the phantom's own tests."""


@dataclass(frozen=True)
class Made:
    folder: Path
    truth: Truth
    voxel_mm: tuple[float, float, float]


@pytest.fixture(scope="module", params=sorted(VARIANTS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Result objects of one variant, made as the node makes them."""
    grid = VARIANTS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    write_study(folder / "in", grid, uid_seed=request.param)
    found = read_folder(folder / "in")
    model = find_model("lung-ct")
    rule = compile_route(Route(name="r", model="lung-ct", destinations=("d",)), model_facts({"lung-ct": model}))
    came = Arrival(None, "", "")
    decision = decide(rule, came, study_names(found.facts, found.stacks, came), found.stacks)
    (folder / "out").mkdir()
    outcome = run_model(model, found, decision.chosen, folder / "out", datetime(2026, 1, 1, tzinfo=UTC))
    assert outcome.report.outcome == "done", outcome.report.reason
    return Made(folder / "out", truth(grid), grid.spacing_mm)


def placed(segmentation: Dataset) -> dict[str, tuple[float, np.ndarray]]:
    """Volume (mL) and centroid (LPS mm) of each segment by the per-frame geometry of the SEG alone."""
    labels = {int(one.SegmentNumber): LABELS[one.SegmentLabel] for one in segmentation.SegmentSequence}
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    row_mm, column_mm = (float(one) for one in measures.PixelSpacing)
    depth_mm = float(measures.SpacingBetweenSlices)
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    sums = {key: [0, np.zeros(3)] for key in labels.values()}
    for frame, pixels in zip(segmentation.PerFrameFunctionalGroupsSequence, segmentation.pixel_array, strict=True):
        key = labels[int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)]
        origin = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        rows, columns = np.nonzero(pixels)
        places = origin + np.outer(columns * column_mm, cosines[:3]) + np.outer(rows * row_mm, cosines[3:])
        sums[key][0] += len(rows)
        sums[key][1] = sums[key][1] + places.sum(axis=0)
    voxel_ml = row_mm * column_mm * depth_mm / 1000
    return {key: (count * voxel_ml, total / count) for key, (count, total) in sums.items()}


def test_lungs_lie_where_they_are_and_have_their_volume(made: Made) -> None:
    """Half a voxel, two percent."""
    found = placed(dcmread(made.folder / "seg.dcm"))
    for key in LUNGS:
        volume_ml, centroid = found[key]
        region = made.truth.regions[key]

        assert 100 * abs(volume_ml - region.volume_ml) / region.volume_ml <= VOLUME_PERCENT, key
        assert np.linalg.norm(centroid - region.centroid_lps_mm) <= max(made.voxel_mm) / 2, key


def test_low_attenuation_lies_where_it_is(made: Made) -> None:
    _, centroid = placed(dcmread(made.folder / "seg.dcm"))["low-attenuation"]

    assert np.linalg.norm(centroid - made.truth.regions["low-attenuation"].centroid_lps_mm) <= max(made.voxel_mm)


def test_the_report_says_what_the_truth_is(made: Made) -> None:
    rows = {(row.segment, row.code): row.value for row in read_numbers(dcmread(made.folder / "sr.dcm"))}
    for key in LUNGS:
        assert abs(rows[key, "LAA950P"] - made.truth.low_percent[key]) <= LAA_POINTS
        assert rows[key, "118565006"] == pytest.approx(made.truth.regions[key].volume_ml, rel=VOLUME_PERCENT / 100)


def test_key_slices_show_the_lungs_that_are_in_the_slice_they_refer_to(made: Made) -> None:
    """Each page names its source image; the outlines on it are of the lungs the truth has there, on their sides."""
    sources = read_folder(made.folder.parent / "in").stacks[0].frames
    index = {frame.sop_instance_uid: number for number, frame in enumerate(sources)}
    pages = [dcmread(path) for path in sorted((made.folder / "summary").iterdir())]
    slices = [page for page in pages if "SourceImageSequence" in page]

    assert len(slices) >= 6
    for page in slices:
        number = index[page.SourceImageSequence[0].ReferencedSOPInstanceUID]
        expected = {key for key in LUNGS if np.count_nonzero(made.truth.regions[key].mask[number]) > 60}
        drawn = outlines(page)

        assert expected <= set(drawn), number
        if set(drawn) == set(LUNGS) and page.PatientOrientation[0] in ("L", "R"):
            left_of_the_other = min(drawn, key=lambda key: drawn[key])
            assert left_of_the_other == ("right-lung" if page.PatientOrientation[0] == "L" else "left-lung")


def outlines(page: Dataset) -> dict[str, float]:
    """Lungs whose outline is on a page, with the mean column of its pixels; the legend below is left aside."""
    picture = page.pixel_array[60:800].astype(int)
    found = {}
    for segment in find_model("lung-ct").card.segments[:2]:
        near = np.abs(picture - np.array(segment.colour_rgb)).max(axis=-1) < 12
        if np.count_nonzero(near) > 40:
            found[segment.key] = float(np.nonzero(near)[1].mean())
    return found
