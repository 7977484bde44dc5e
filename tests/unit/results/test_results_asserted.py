"""Classifications and detections: coded, drawn where they are, with their probability and threshold."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset

from ai.exchange import load_findings, save_findings
from ai.findings import Classification, Detection, Findings, Shape
from node.errors import ResultUnsound
from node.results.pages import DETECTION_COLOUR
from node.results.wording import is_negative
from tests.unit.results.made import ASSERTED, CARD, DETECTED, FINDING_CARD, encoded, make_findings, make_series
from tests.unit.results.test_results_report import items, number

ALL = ("right-lung", "left-lung", "low-attenuation")


def reported(folder: Path, **changes: object) -> Dataset:
    made = make_series(folder)
    findings = replace(make_findings(made), **changes)
    return encoded(folder / "out", made, findings, card=FINDING_CARD)["sr"]


def test_a_box_is_drawn_on_every_slice_that_it_crosses_the_middle_one_first(tmp_path: Path) -> None:
    """Corners at the voxels' centres: 0.5, 0.5 is the centre of the first pixel. Viewers draw the first region."""
    report = reported(tmp_path, detections=DETECTED[:1])
    regions = list(items(report, "Image Region"))

    named = [one.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in regions]
    assert named == ["2.25.100.5", "2.25.100.4", "2.25.100.6"]
    points = np.reshape(regions[0].GraphicData, (-1, 2)).tolist()
    assert points[::2] == [[8.5, 10.5], [13.5, 10.5], [13.5, 14.5], [8.5, 14.5], [8.5, 10.5]]
    assert points[1::2] == [[11, 10.5], [13.5, 12.5], [11, 14.5], [8.5, 12.5]]  # no rectangle of OHIF's own


def test_points_and_contours_are_drawn_as_what_they_are(tmp_path: Path) -> None:
    point, contour = items(reported(tmp_path, detections=DETECTED[1:]), "Image Region")

    assert (point.GraphicType, list(point.GraphicData)) == ("POINT", [25.5, 20.5])
    assert (contour.GraphicType, len(contour.GraphicData)) == ("POLYLINE", 14)


def test_a_classification_is_present_from_its_threshold_on(tmp_path: Path) -> None:
    """Coded, with its probability, the threshold it was judged by, and its significance for triage where present."""
    report = reported(tmp_path, classifications=ASSERTED)

    (effusion,) = items(report, "Pleural Effusion")
    (oedema,) = items(report, "Pulmonary Edema")
    assert [one.ConceptCodeSequence[0].CodeMeaning for one in (effusion, oedema)] == ["Present", "Absent"]
    assert [number(one) for one in items(report, "Probability")] == ["0.833", "0.040"]
    assert [one.TextValue for one in items(report, "Algorithm Parameters")] == ["threshold=0.4", "threshold=0.5"]
    (significance,) = items(report, "Level of Significance")
    assert significance.ConceptCodeSequence[0].CodeMeaning == "Significant"


def test_a_report_of_classifications_alone_is_read_as_text(tmp_path: Path) -> None:
    """Nothing is drawn, so its title is not the one under which viewers wait for drawings."""
    made = make_series(tmp_path)
    findings = Findings(classifications=ASSERTED)
    card = replace(FINDING_CARD, segments=(), measurements=())
    encoded(tmp_path / "out", made, findings, card=card)

    report = hd.sr.srread(tmp_path / "out" / "sr.dcm")
    groups = report.content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["nodule", "effusion", "oedema"]
    assert report.ConceptNameCodeSequence[0].CodeValue == "18748-4"


def test_the_text_says_the_same(tmp_path: Path) -> None:
    made = make_series(tmp_path)
    findings = replace(make_findings(made), classifications=ASSERTED, detections=DETECTED)
    lines = [
        one.TextValue for one in items(encoded(tmp_path / "out", made, findings, card=FINDING_CARD)["text"], "Finding")
    ]

    assert "Pleural effusion: present (probability 0.833, operating threshold 0.4)." in lines
    assert "Detection 1: Nodule at slice, row, column 5, 13, 12, score 0.912." in lines


def test_a_detection_outside_the_images_does_not_leave(tmp_path: Path) -> None:
    outside = Detection("nodule", Shape.POINT, np.array([[6.0, 20.0, 99.0]]), "ct")

    with pytest.raises(ResultUnsound, match="leaves its image"):
        reported(tmp_path, detections=(outside,))


def test_a_detection_on_the_grid_of_another_input_does_not_leave(tmp_path: Path) -> None:
    """Its points would lie inside these images as well, at another place of the patient."""
    elsewhere = Detection("nodule", Shape.POINT, np.array([[2.0, 3.0, 4.0]]), "other")

    with pytest.raises(ResultUnsound, match="is on 'other'; results go on 'ct'"):
        reported(tmp_path, detections=(elsewhere,))


def test_findings_come_back_from_their_files(tmp_path: Path) -> None:
    save_findings(Findings(classifications=ASSERTED, detections=DETECTED), tmp_path)
    found = load_findings(tmp_path)

    assert found.classifications == ASSERTED
    assert [(one.shape, one.score) for one in found.detections] == [(one.shape, one.score) for one in DETECTED]
    assert all(np.array_equal(a.points, b.points) for a, b in zip(found.detections, DETECTED, strict=True))


@pytest.mark.parametrize(
    ("findings", "negative"),
    [
        (Findings(classifications=(Classification("effusion", 0.39), ASSERTED[1])), True),
        (Findings(classifications=(Classification("effusion", 0.4), ASSERTED[1])), False),
        (Findings(detections=DETECTED[:1], classifications=(Classification("effusion", 0.39), ASSERTED[1])), False),
        (Findings(classifications=ASSERTED[1:]), False),
        (Findings(), False),
    ],
)
def test_a_run_is_negative_where_nothing_counts_as_found(findings: Findings, negative: bool) -> None:
    assert is_negative(findings, FINDING_CARD) is negative
    assert is_negative(Findings(), CARD) is True


@pytest.mark.parametrize(
    ("shape", "points"),
    [(Shape.POINT, [[0, 0, 0]] * 2), (Shape.BOX, [[0, 0, 0]]), (Shape.CONTOUR, [[0, 0, 0], [1, 1, 1], [1, 0, 0]])],
)
def test_points_that_make_no_shape_are_an_error(shape: Shape, points: list) -> None:
    with pytest.raises(ValueError, match="nodule"):
        Detection("nodule", shape, np.array(points, float), "ct")


def test_a_slice_that_shows_a_detection_never_says_that_nothing_was_found(tmp_path: Path) -> None:
    """The detection is drawn on its key slice, in its colour, and named in the legend."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, Findings(detections=DETECTED), card=FINDING_CARD)
    slices = {
        page.SourceImageSequence[0].ReferencedSOPInstanceUID: page.pixel_array
        for name, page in found.items()
        if name.isdigit() and "SourceImageSequence" in page
    }

    for index in (4, 6, 7):
        assert np.all(slices[f"2.25.100.{index + 1}"] == DETECTION_COLOUR, axis=2).any()
