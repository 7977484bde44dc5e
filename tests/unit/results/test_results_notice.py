"""What is sent where images were not analysed: nobody can take it for a negative."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from node.core.identity import SeriesUID, StudyUID
from node.errors import IsocenterError
from node.results.encode import ResultObject
from node.results.notice import STATUS, WORDS, Cause, Unanalysed, encode_notice
from tests.unit.results.made import CARD, RUN, SERIES, STUDY, make_series, put_junk

REASON = "the slices are 12.0 mm apart, more than the 6.0 mm that the model takes"


def noticed(
    folder: Path, cause: Cause = Cause.REFUSED, damage: Callable[[Path], None] = lambda _path: None
) -> tuple[ResultObject, ...]:
    made = make_series(folder / "source")
    header = next(iter(made.paths.values()))
    sop_class = pydicom.dcmread(header, stop_before_pixels=True).SOPClassUID
    damage(header)
    images = Unanalysed(StudyUID(STUDY), SeriesUID(SERIES), dict.fromkeys(made.paths, sop_class))
    return encode_notice(images, header, CARD, RUN, folder, cause=cause, reason=REASON, advice="Send thin slices.")


@pytest.mark.parametrize(("cause", "meaning"), [(Cause.REFUSED, "Not Attempted"), (Cause.FAILED, "Failed")])
def test_a_notice_says_that_nothing_was_analysed_and_why(tmp_path: Path, cause: Cause, meaning: str) -> None:
    """Coded as a status, in words with the reason, and in the series' name, which every list shows."""
    document = pydicom.dcmread(noticed(tmp_path, cause)[0].path)

    status = next(one for one in document.ContentSequence if one.ConceptNameCodeSequence[0].CodeValue == "111065")
    assert status.ConceptCodeSequence[0].CodeMeaning == meaning
    text = str(document.to_json())
    assert REASON in text
    assert "NOT analysed" in text
    assert "Send thin slices." in text
    assert document.SeriesDescription == "AI lung-ct NOT ANALYSED"


def test_a_notice_holds_nothing_that_a_result_holds(tmp_path: Path) -> None:
    """No finding, no number, no "Absent", no segment; its title is none of a report's."""
    made = noticed(tmp_path)
    document = pydicom.dcmread(made[0].path)

    assert "272519000" not in document.to_json()
    assert "MeasuredValueSequence" not in document.to_json()
    assert document.ConceptNameCodeSequence[0].CodeMeaning == "AI analysis not performed"
    assert [one.kind.value for one in made] == ["notice", "notice-page"]
    assert ["Rows" in pydicom.dcmread(one.path) for one in made] == [one.kind.is_image for one in made] == [False, True]


def test_a_notice_names_its_images_and_patient(tmp_path: Path) -> None:
    """It stands in the study beside the images it is about."""
    made = noticed(tmp_path)
    for one in made:
        found = pydicom.dcmread(one.path)
        assert (found.StudyInstanceUID, found.PatientID, found.AccessionNumber) == (STUDY, "P-0815", "A-17")
    evidence = pydicom.dcmread(made[0].path).CurrentRequestedProcedureEvidenceSequence[0]
    assert len(evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence) == 12


def test_a_notice_is_made_of_images_with_a_sequence_that_cannot_be_parsed(tmp_path: Path) -> None:
    made = noticed(tmp_path, damage=lambda path: put_junk(path, "OtherPatientIDsSequence"))

    assert [pydicom.dcmread(one.path).PatientID for one in made] == ["P-0815", "P-0815"]


def test_its_page_can_be_read_in_any_viewer(tmp_path: Path) -> None:
    """A page with ink on it, and without a place in the patient."""
    page = pydicom.dcmread(noticed(tmp_path)[1].path)

    assert np.count_nonzero(page.pixel_array.max(axis=2) > 200) > 2000
    assert "ImagePositionPatient" not in page


def test_without_a_readable_image_there_is_no_notice(tmp_path: Path) -> None:
    """Nothing would say whose study it is."""
    (tmp_path / "x").write_bytes(b"x")
    images = Unanalysed(StudyUID(STUDY), SeriesUID(SERIES), {})

    with pytest.raises(IsocenterError, match="cannot be read"):
        encode_notice(images, tmp_path / "x", CARD, RUN, tmp_path, cause=Cause.FAILED, reason=REASON)


def test_every_cause_has_words_and_a_status() -> None:
    assert set(WORDS) == set(STATUS) == set(Cause)
