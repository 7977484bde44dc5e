"""The summary and the overlay: pictures that any viewer shows the right way up."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ai.findings import Findings, Segment
from ai.volume import Facts, Volume
from node.results.encode import draw_overlay
from node.results.keyslices import key_slices
from node.results.pictures import DETECTION_COLOUR, LUNG_WINDOW, Window, draw_plane, standing, window_for
from node.results.sheet import GROUND, QUIET, Sheet, font
from tests.unit.results.kinds import FLAT_CARD, flat_findings, make_radiograph
from tests.unit.results.made import (
    CARD,
    DETECTED,
    FINDING_CARD,
    SAGITTAL,
    encoded,
    make_enhanced,
    make_findings,
    make_series,
)

RED = (255, 0, 0)


def has_words(picture: Image.Image, words: str) -> bool:
    """Whether they stand in the quiet type of a legend somewhere on the picture, pixel by pixel."""
    drawn = Image.new("RGB", (int(font(18).getlength(words)) + 2, 26), GROUND)
    ImageDraw.Draw(drawn).text((0, 13), words, font=font(18), fill=QUIET, anchor="lm")
    sought, found = np.asarray(drawn), np.asarray(picture.convert("RGB"))
    height, width = sought.shape[:2]
    rows, columns = found.shape[0] - height, found.shape[1] - width
    edges = (found[row : row + height, column : column + width] for row in range(rows) for column in (12, 16))
    return columns > 16 and any(np.array_equal(one, sought) for one in edges)


def test_a_picture_never_says_that_nothing_was_found_where_something_has_no_outline(tmp_path: Path) -> None:
    """A classification that is present is told on the first page, and a reader may look at the picture alone."""
    made = make_radiograph(tmp_path / "source")
    asserted = Findings(classifications=flat_findings(made).classifications)

    found = encoded(tmp_path / "out", made, asserted, card=FLAT_CARD)

    page = Image.fromarray(pages(found)[1].pixel_array)
    overlay = Image.open(io.BytesIO(draw_overlay(asserted, FLAT_CARD, made.volume)))
    assert max(one.probability for one in asserted.classifications) > 0.5
    for picture in (page, overlay):
        assert has_words(picture, "Nothing is outlined here.")
        assert not has_words(picture, "Nothing was found in this slice.")
        assert not has_words(picture, "Nothing was found.")


def pages(found: dict) -> list:
    return [one for name, one in found.items() if name.isdigit()]


def test_numbers_come_first_then_six_slices_or_more_then_what_the_model_is_for(tmp_path: Path) -> None:
    """Plain colour images without a place of their own, that say they have text burned in."""
    made = make_series(tmp_path)
    first, *slices, last = pages(encoded(tmp_path / "out", made, make_findings(made)))

    assert not any("SourceImageSequence" in one for one in (first, last))
    assert len(slices) >= 6
    assert {one.SourceImageSequence[0].ReferencedSOPInstanceUID for one in slices} <= set(made.paths)
    for number, one in enumerate((first, *slices, last), 1):
        assert one.InstanceNumber == number
        assert (one.PhotometricInterpretation, one.BurnedInAnnotation) == ("RGB", "YES")
        assert not {"RescaleSlope", "WindowCenter", "ImagePositionPatient", "PixelSpacing"} & set(one.dir())


def test_slices_run_from_head_to_feet_and_know_their_sides(tmp_path: Path) -> None:
    """In an axial series the first key slice is the highest, and a row runs to the patient's left."""
    made = make_series(tmp_path)
    _, *slices, _ = pages(encoded(tmp_path / "out", made, make_findings(made)))

    heights = [made.grid.frames.index((one.SourceImageSequence[0].ReferencedSOPInstanceUID, 1)) for one in slices]
    assert heights == sorted(heights, reverse=True)
    assert list(slices[0].PatientOrientation) == ["L", "P"]


def test_a_slice_of_a_multi_frame_source_is_named_by_its_frame(tmp_path: Path) -> None:
    """The frame number is part of the reference."""
    made = make_enhanced(tmp_path, orientation=SAGITTAL)
    _, *slices, _ = pages(encoded(tmp_path / "out", made, make_findings(made)))

    referenced = {int(one.SourceImageSequence[0].ReferencedFrameNumber) for one in slices}
    assert referenced <= {number for _, number in made.grid.frames}
    assert list(slices[0].PatientOrientation) == ["P", "F"]


def test_key_slices_are_spread_through_what_was_found() -> None:
    """Slices 20 to 59 of 100 are occupied: eight of them, none bunched, and the small segment is not missed."""
    large, small = np.zeros((100, 4, 4), bool), np.zeros((100, 4, 4), bool)
    large[20:60], small[29, 0, 0] = True, True
    chosen = key_slices(Findings((Segment("a", large, "ct"), Segment("b", small, "ct"))), 100)

    assert 29 in chosen
    assert all(20 <= index < 60 for index in chosen)
    assert max(np.diff(chosen)) <= 6


@pytest.mark.parametrize(("slices", "occupied"), [(100, 0), (100, 2), (6, 6), (3, 1)])
def test_there_are_six_key_slices_wherever_there_are_six_slices(slices: int, occupied: int) -> None:
    """Also where little or nothing was found."""
    mask = np.zeros((slices, 4, 4), bool)
    mask[:occupied] = True
    chosen = key_slices(Findings((Segment("a", mask, "ct"),)), slices)

    assert len(chosen) >= min(6, slices)
    assert len(set(chosen)) == len(chosen)
    assert set(range(min(occupied, 6))) <= set(chosen) or occupied > 2


def test_a_plane_is_drawn_at_its_true_proportions() -> None:
    """Pixels of 3 x 1 mm: 20 rows and 30 columns are twice as high as wide."""
    picture = draw_plane(np.zeros((20, 30)), (3.0, 1.0), [], Window(0, 1), (400, 400))

    assert picture.size == (200, 400)


def test_an_outline_is_the_rim_of_its_mask() -> None:
    """Inside the mask and at its edge, in its colour; the middle stays visible."""
    mask = np.zeros((10, 10), bool)
    mask[2:8, 2:8] = True
    drawn = np.asarray(draw_plane(np.full((10, 10), -1000), (1, 1), [(mask, RED)], Window(0, 10), (100, 100)))
    red = (drawn == RED).all(axis=2)

    assert red[21, 50]
    assert not red[50, 50]
    assert not red[10, 50]
    assert not red[np.kron(~mask, np.ones((10, 10), bool))].any()


def test_lungs_are_shown_in_the_lung_window_and_mr_as_its_values_spread() -> None:
    """What a CT declares is for other organs; what an MR declares is not trusted."""
    array = np.linspace(0, 1000, 4096).reshape(16, 16, 16)
    ct, mr = (Volume(array, np.eye(4), (1, 1, 1), Facts(modality=modality)) for modality in ("CT", "MR"))

    assert window_for(ct, CARD, Window(40, 400)) == LUNG_WINDOW
    found = window_for(mr, CARD, Window(40, 400))
    assert found.centre == pytest.approx(502, abs=15)
    assert found.width == pytest.approx(985, abs=30)


@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, -1), (1, -1, 1)])
def test_standing_voxels_run_left_back_and_up(turn: tuple, flip: tuple) -> None:
    """However the volume's axes lie, the one voxel at the patient's left, back and head comes last."""
    affine = np.eye(4)
    affine[:3, :3] = (np.diag(flip) @ np.eye(3))[:, turn] * (2.0, 3.0, 4.0)
    array = np.zeros((4, 5, 6))
    corners = [(i, j, k) for i in (0, 3) for j in (0, 4) for k in (0, 5)]
    array[max(corners, key=lambda corner: sum(affine[:3, :3] @ corner))] = 1

    assert standing(array, affine)[-1, -1, -1] == 1


def test_the_overlay_shows_the_right_lung_on_the_left(tmp_path: Path) -> None:
    """A PNG in which the right lung's colour lies left of the left lung's."""
    made = make_series(tmp_path)
    picture = np.asarray(Image.open(io.BytesIO(draw_overlay(make_findings(made), CARD, made.volume))).convert("RGB"))

    panel = picture[48:680, :650]
    right, left = (np.argwhere((panel == one.colour_rgb).all(axis=2))[:, 1].mean() for one in CARD.segments[:2])
    assert right < left


def test_the_overlay_outlines_what_was_detected_and_names_it(tmp_path: Path) -> None:
    """The planes are those that hold it; nothing else was found here that would choose them."""
    made = make_series(tmp_path)
    boxes = Findings(detections=(DETECTED[0], replace(DETECTED[0], score=0.5)))
    with_boxes, without = (
        np.asarray(Image.open(io.BytesIO(draw_overlay(one, FINDING_CARD, made.volume))).convert("RGB"))
        for one in (boxes, Findings())
    )

    coloured = (with_boxes == DETECTION_COLOUR).all(axis=2)
    assert min(coloured[48:688, 12:652].sum(), coloured[48:688, 664:1304].sum()) > 50
    assert coloured[690:].any()
    assert not (without == DETECTION_COLOUR).all(axis=2).any()


def test_the_overlay_of_a_radiograph_is_the_image_itself(tmp_path: Path) -> None:
    """It has no front and no below; what was found is outlined on it."""
    made = make_radiograph(tmp_path)
    picture = np.asarray(Image.open(io.BytesIO(draw_overlay(flat_findings(made), FLAT_CARD, made.volume))))

    assert (picture == (86, 180, 233)).all(axis=2).sum() > 200


def test_a_long_page_goes_on_and_loses_nothing() -> None:
    """Forty lines of text take two pages."""
    sheet = Sheet(foot="foot")
    for _ in range(40):
        sheet.line("A line of a summary.")

    assert len(sheet.pages) == 2
