"""What results are told of the images of a series that a model did not get."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from ai.contract import InputCard, ModelCard
from node.errors import ReasonCode, Refused
from node.jobs.folder import read_folder
from node.jobs.inputs import read_inputs
from tests.makers.series import Change, ct_series

INPUT = InputCard("ct", ("CT",), (), 2, None, None, None, None)
CARD = ModelCard("m", "1", "v", "t", "u", (), "l", 1, 1, (INPUT,), "ct", (), (), "digest")


def note_on(folder: Path, change: Change) -> str | None:
    """Of the first stack of a series of ten images."""
    ct_series(folder, slices=10, change=change)
    study = read_folder(folder)
    _, grid = read_inputs({"ct": study.stacks[0]}, {"ct": list(study.stacks)}, CARD, study.paths, study.study_uid)
    return grid.left_out_note


def turned(image: Dataset, number: int) -> None:
    if number >= 6:
        image.ImageOrientationPatient = [0.98, 0.2, 0, -0.2, 0.98, 0]


def another_kind(image: Dataset, number: int) -> None:
    if number >= 7:
        image.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]


def localizers(image: Dataset, number: int) -> None:
    if number >= 8:
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


@pytest.mark.parametrize(("change", "analysed"), [(turned, 6), (another_kind, 7)])
def test_images_of_the_series_in_which_nothing_was_looked_for_are_told(
    tmp_path: Path, change: Change, analysed: int
) -> None:
    """A nodule may lie in them: "none was found" would be untrue of the series."""
    assert (note_on(tmp_path, change) or "").startswith(f"{analysed} of the 10 images of the series were analysed")


def test_localizers_and_whole_series_need_no_words(tmp_path: Path) -> None:
    assert note_on(tmp_path / "localizers", localizers) is None
    assert note_on(tmp_path / "whole", lambda _image, _number: None) is None


def test_one_stack_is_no_two_inputs(tmp_path: Path) -> None:
    """A model of two phases, or of two contrasts, would compare images with themselves and find no difference."""
    ct_series(tmp_path, slices=4)
    study = read_folder(tmp_path)
    both = replace(CARD, inputs=(INPUT, replace(INPUT, name="prior")))
    chosen = dict.fromkeys(("ct", "prior"), study.stacks[0])

    with pytest.raises(Refused, match="inputs ct and prior would be the same images") as caught:
        read_inputs(chosen, {name: [] for name in chosen}, both, study.paths, study.study_uid)
    assert caught.value.reason is ReasonCode.OUT_OF_DECLARED_LIMITS


def test_a_volume_names_the_space_in_which_it_lies(tmp_path: Path) -> None:
    """Of a series that states none, a space of its own."""
    ct_series(tmp_path / "a", slices=4)
    ct_series(tmp_path / "b", slices=4, change=lambda image, _: image.pop("FrameOfReferenceUID"))
    names = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        study = read_folder(folder)
        inputs, grid = read_inputs({"ct": study.stacks[0]}, {"ct": []}, CARD, study.paths, study.study_uid)
        names.append(inputs.reference_volume.frame_of_reference)
        assert names[-1] == grid.frame_of_reference_uid
    assert None not in names
    assert names[0] != names[1]


def test_results_are_told_what_else_the_model_was_given(tmp_path: Path) -> None:
    """Of a PET beside its CT, or of a prior, nobody could see which one it was."""
    ct_series(tmp_path / "a", slices=4)
    ct_series(tmp_path / "b", slices=3, series="other", change=lambda image, _: setattr(image, "SeriesNumber", 7))
    study = read_folder(tmp_path)
    both = replace(CARD, inputs=(INPUT, replace(INPUT, name="prior")))
    chosen = {"ct" if one.series_number == 1 else "prior": one for one in study.stacks}
    _, grid = read_inputs(chosen, {name: [] for name in chosen}, both, study.paths, study.study_uid)

    assert "Read besides: series 7 (CT, 3 images) as prior." in grid.notes
    assert grid.further == chosen["prior"].instances
    assert len(grid.further) == 3
