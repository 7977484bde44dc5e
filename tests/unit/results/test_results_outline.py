"""What a report draws: the outline of each segment where the segment is, so no viewer opens an empty pane."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from ai.findings import Findings
from node.errors import ResultUnsound
from node.results.origin import read_origin
from node.results.outline import MOST_POINTS, draw_outline
from node.results.report_check import check_report
from node.results.stamp import Edition
from tests.unit.results.made import CARD, RUN, Made, encoded, make_enhanced, make_findings, make_series


def filled(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies within a polygon of (column, row), drawn eight times as large."""
    image = Image.new("1", (shape[1] * 8, shape[0] * 8))
    ImageDraw.Draw(image).polygon([tuple(point * 8) for point in points], fill=1)
    return np.asarray(image)[4::8, 4::8]


def coordinates(report: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Tracking identifier and coordinates of each group."""
    container = next(one for one in report.ContentSequence if one.ConceptNameCodeSequence[0].CodeValue == "126010")
    for group in container.ContentSequence:
        held = {one.ConceptNameCodeSequence[0].CodeValue: one for one in group.ContentSequence}
        yield held["112039"].TextValue, held["111041"]


def test_an_outline_holds_the_largest_part_on_the_largest_slice() -> None:
    """Its polygon covers exactly the pixels of that part: coordinates begin at the outer corner of the first pixel."""
    mask = np.zeros((5, 30, 40), np.bool_)
    mask[1, 4:9, 4:9] = True
    mask[3, 2:20, 5:25] = True
    mask[3, 8:12, 8:12] = False
    mask[3, 25:29, 30:35] = True

    outline = draw_outline(mask)

    expected = np.zeros((30, 40), np.bool_)
    expected[2:20, 5:25] = True
    assert outline.slice_index == 3
    assert np.array_equal(filled(outline.points, (30, 40)), expected)


def test_an_outline_at_the_edge_of_the_image_stays_in_it() -> None:
    """A region that fills the image has the image's own edge for an outline."""
    points = draw_outline(np.ones((1, 6, 9), np.bool_)).points

    assert (points.min(), *points.max(axis=0)) == (0, 9, 6)


def test_an_outline_always_fits_into_one_value() -> None:
    """A comb has far more corners than an FL value has room for: it is drawn coarser, not refused."""
    mask = np.zeros((1, 512, 600), np.bool_)
    mask[0, 500:] = True
    mask[0, ::2, 1::2] = False
    mask[0, :, ::2] = True

    assert len(draw_outline(mask).points) <= MOST_POINTS


@pytest.mark.parametrize("make", [make_series, make_enhanced])
def test_every_group_draws_its_segment_on_its_image(tmp_path: Path, make: object) -> None:
    """The polygon covers pixels of the segment, on the source image (and frame) where they are."""
    made: Made = make(tmp_path / "source")  # type: ignore[operator]
    findings = make_findings(made)
    report = encoded(tmp_path / "out", made, findings)["sr"]
    frames = list(made.grid.frames)

    drawn = dict(coordinates(report))
    assert set(drawn) == {segment.key for segment in findings.segments}
    for segment in findings.segments:
        reference = drawn[segment.key].ContentSequence[0].ReferencedSOPSequence[0]
        frame = (reference.ReferencedSOPInstanceUID, int(reference.get("ReferencedFrameNumber", 1)))
        points = np.array(drawn[segment.key].GraphicData).reshape(-1, 2)
        inside = filled(points, segment.mask.shape[1:])
        assert np.array_equal(inside & segment.mask[frames.index(frame)], inside)


def test_coordinates_name_their_image_as_the_original_source(tmp_path: Path) -> None:
    """Viewers that look for this purpose draw nothing under another."""
    made = make_series(tmp_path)
    report = encoded(tmp_path / "out", made, make_findings(made))["sr"]

    purposes = {item.ContentSequence[0].ConceptNameCodeSequence[0].CodeValue for _, item in coordinates(report)}
    assert purposes == {"111040"}


def test_only_a_report_that_draws_has_the_title_viewers_expect_drawings_under(tmp_path: Path) -> None:
    """Under any other title they show its text, so that a negative is read and not seen as an empty pane."""
    made = make_series(tmp_path)
    keys = ("right-lung", "left-lung", "low-attenuation")
    found = encoded(tmp_path / "found", made, make_findings(made))["sr"]
    negative = encoded(tmp_path / "negative", made, make_findings(made, without=keys))["sr"]

    titles = [one.ConceptNameCodeSequence[0].CodeValue for one in (found, negative)]
    assert titles == ["126000", "18748-4"]
    assert {one.ContentTemplateSequence[0].TemplateIdentifier for one in (found, negative)} == {"1500"}


def test_an_outline_elsewhere_than_its_segment_does_not_leave(tmp_path: Path) -> None:
    """Moved by eight pixels, or named on another slice, it fails its check."""
    made = make_series(tmp_path)
    findings: Findings = make_findings(made)
    edition = Edition(read_origin(made.grid, made.paths), CARD, RUN, "", as_unicode=False)
    path = tmp_path / "out" / "sr.dcm"
    report = encoded(tmp_path / "out", made, findings)["sr"]
    _, item = next(coordinates(report))
    item.GraphicData = [value + 8 for value in item.GraphicData]

    with pytest.raises(ResultUnsound, match="an outline"):
        check_report(path, report, findings, edition)
