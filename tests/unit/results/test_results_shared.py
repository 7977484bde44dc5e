"""What every object of a run has in common: patient and study of the source, UIDs of the run, labels, times."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pydicom
import pytest
from highdicom._standard_utils import get_module_attribute_map
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from ai.contract import Code
from node.results.carried import SHARED
from node.results.encode import Predecessor, Profile, RenditionKind, RunIdentity, encode
from tests.unit.results.kinds import flat_findings, make_radiograph
from tests.unit.results.made import (
    CARD,
    FINDING_CARD,
    RUN,
    SERIES,
    STUDY,
    encoded,
    make_enhanced,
    make_findings,
    make_series,
    put_bytes,
)

NAMES = {
    "ISO_IR 100": "Müller^Jörg".encode("latin-1"),
    "ISO_IR 192": "山田^太郎".encode(),
    r"\ISO 2022 IR 87": b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
    "ISO_IR 144": "Люкceмбypг".encode("iso-8859-5"),
    None: "Müller^Jörg".encode("latin-1"),
    "ISO_IR 6": b"M\xc3\xbcller^J",
}
"""Names as they lie in files, the last two under a character set that does not hold them."""


def raw_name(path: Path) -> bytes:
    value = pydicom.dcmread(path).get_item(Tag("PatientName")).value
    assert isinstance(value, bytes)
    return value


@pytest.mark.parametrize("charset", NAMES)
@pytest.mark.parametrize("maker", [make_series, make_enhanced])
def test_the_patients_name_keeps_its_bytes_in_every_object(tmp_path: Path, charset: str | None, maker) -> None:
    """Whatever the source's character set, and even where the name is not in it."""
    made = maker(tmp_path)
    for path in made.paths.values():
        source = pydicom.dcmread(path)
        source.SpecificCharacterSet = charset and charset.split("\\")
        source.save_as(path)
        put_bytes(path, "PatientName", NAMES[charset])

    objects = encode(make_findings(made), CARD, made.grid, made.paths, RUN, tmp_path, volume=made.volume)

    expected = raw_name(next(iter(made.paths.values())))
    assert expected.startswith(NAMES[charset])
    assert {raw_name(one.path) for one in objects} == {expected}
    assert {str(pydicom.dcmread(one.path).get("SpecificCharacterSet")) for one in objects} == {
        str(pydicom.dcmread(next(iter(made.paths.values()))).get("SpecificCharacterSet"))
    }


def test_text_that_its_character_set_does_not_hold_keeps_its_bytes(tmp_path: Path) -> None:
    """Latin-1 under a header that says UTF-8, and blanks at an end: what the PACS has is what it gets."""
    made = make_series(tmp_path, changes={"SpecificCharacterSet": "ISO_IR 192"})
    for path in made.paths.values():
        put_bytes(path, "StudyDescription", b" TH\xd6RAX ")

    objects = encode(make_findings(made), CARD, made.grid, made.paths, RUN, tmp_path, volume=made.volume)

    found = {pydicom.dcmread(one.path).get_item(Tag("StudyDescription")).value for one in objects}
    assert found == {b" TH\xd6RAX "}


def test_text_beyond_ascii_in_a_card_makes_its_objects_unicode(tmp_path: Path) -> None:
    """The card's words and the patient's name are both right then."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made), card=replace(CARD, vendor="Universität Łódź"))

    for one in found.values():
        assert one.SpecificCharacterSet == "ISO_IR 192"
        assert str(one.PatientName) == "Müller^Jörg"
        assert one.ContributingEquipmentSequence[0].Manufacturer == "Universität Łódź"


@pytest.mark.parametrize("charset", [None, "ISO_IR 144"])
def test_units_are_written_in_what_every_character_set_holds(tmp_path: Path, charset: str | None) -> None:
    """A Cyrillic source has no superscript three: it became a question mark, and without a set no text at all."""
    made = make_series(tmp_path, changes={"SpecificCharacterSet": charset})
    cubic = replace(CARD.measurements[0], unit=Code("mm3", "UCUM", "cubic millimeter"))
    card = replace(CARD, measurements=(cubic, *CARD.measurements[1:]))

    encoded(tmp_path / "out", made, make_findings(made), card=card)

    text = pydicom.dcmread(tmp_path / "out" / "text.dcm")
    lines = [one.value for one in text.iterall() if one.keyword == "TextValue"]
    assert any(" mm3" in one for one in lines)
    assert all(one.isascii() for one in lines)


def test_attributes_of_patient_and_study_are_the_sources(tmp_path: Path) -> None:
    """Issuer, accession, time zone and the rest; body part where the object has a place for it."""
    made = make_series(tmp_path)
    source = pydicom.dcmread(next(iter(made.paths.values())))
    found = encoded(tmp_path / "out", made, make_findings(made))

    for name, one in found.items():
        for keyword in ("PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
            assert one[keyword].value == source[keyword].value
        assert one.TimezoneOffsetFromUTC == "+0200"
        assert one.ReferringPhysicianName == "Curie^Marie"
        assert one.get("BodyPartExamined") == (None if name in ("sr", "text") else "CHEST")
        assert one.ContentQualification == "RESEARCH"


def test_the_shared_attributes_are_all_there_are_in_their_modules() -> None:
    """The table is total over the modules it names (as a library lists them), so no attribute of a study is lost."""
    modules = ("patient", "clinical-trial-subject", "general-study", "patient-study", "clinical-trial-study")
    listed = get_module_attribute_map()
    expected = {item["keyword"] for name in modules for item in listed[name] if not item["path"]}

    carried = {keyword for module in SHARED.values() for keyword in module}
    assert expected - carried == {"StudyInstanceUID"}


def test_a_source_without_required_attributes_gives_empty_ones(tmp_path: Path) -> None:
    """Sex, birth date and the like are missing in real files; the results have them, empty."""
    missing = ("PatientSex", "PatientBirthDate", "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyTime")
    made = make_series(tmp_path, changes=dict.fromkeys((*missing, "BodyPartExamined", "SliceThickness")))
    found = encoded(tmp_path / "out", made, make_findings(made))

    for one in found.values():
        assert [one[keyword].is_empty for keyword in missing] == [True] * len(missing)


def test_values_that_are_not_what_dicom_allows_are_passed_on_as_they_are(tmp_path: Path) -> None:
    """A sex of "X" and an unreadable birth date are the PACS's to mend; they must not stop a result."""
    with pytest.warns(UserWarning, match="Invalid value"):
        made = make_series(tmp_path, changes={"PatientSex": "X", "PatientBirthDate": "1960-1-2"})
    found = encoded(tmp_path / "out", made, make_findings(made))

    assert {(one.PatientSex, one.PatientBirthDate) for one in found.values()} == {("X", "1960-1-2")}


def test_a_thickness_that_is_no_number_is_none(tmp_path: Path) -> None:
    """The gate takes it as absent, and nothing depends on it: it must not stop a result either."""
    made = make_series(tmp_path)
    for path in made.paths.values():
        put_bytes(path, "SliceThickness", b"4,0")
    assert "seg" in encoded(tmp_path / "out", made, make_findings(made))


@pytest.mark.parametrize("spacing", [b"0.2", b"a\\b", b"0\\0"])
def test_a_radiograph_whose_spacing_is_no_pair_of_lengths_is_drawn_uncalibrated(tmp_path: Path, spacing: bytes) -> None:
    """Its pixels are taken for square then, as where no spacing is stated."""
    made = make_radiograph(tmp_path, PixelSpacing=[0.2, 0.2], ImagerPixelSpacing=None)
    put_bytes(next(iter(made.paths.values())), "PixelSpacing", spacing)
    found = encoded(tmp_path / "out", made, replace(flat_findings(made), maps=()), card=FINDING_CARD)
    assert "sr" in found


def test_an_empty_group_of_a_frame_leaves_the_shared_one_in_force(tmp_path: Path) -> None:
    """As it does where the volume is read: both must place the frame alike."""
    made = make_enhanced(tmp_path)
    path = next(iter(made.paths.values()))
    source = pydicom.dcmread(path)
    for item in source.PerFrameFunctionalGroupsSequence:
        item.PlaneOrientationSequence = []
    source.save_as(path)
    assert "seg" in encoded(tmp_path / "out", made, make_findings(made))


def test_the_source_is_not_touched(tmp_path: Path) -> None:
    """The encoder works on copies."""
    made = make_series(tmp_path, frames_of_reference=False)
    before = {path: path.read_bytes() for path in made.paths.values()}
    encoded(tmp_path / "out", made, make_findings(made))

    assert {path: path.read_bytes() for path in before} == before


def test_objects_come_in_sending_order_in_series_of_their_own(tmp_path: Path) -> None:
    """What the report names goes before it; numbers from the destination's base; "AI" first in every description."""
    made = make_series(tmp_path)
    objects = encode(
        make_findings(made),
        CARD,
        made.grid,
        made.paths,
        RUN,
        tmp_path,
        volume=made.volume,
        profile=Profile(series_base=7001),
    )

    kinds = [one.kind for one in objects]
    assert (kinds[:3], kinds[-1]) == (
        [RenditionKind.SEG, RenditionKind.TEXT, RenditionKind.SUMMARY],
        RenditionKind.SR,
    )
    assert set(kinds[2:-1]) == {RenditionKind.SUMMARY}
    series = {}
    for one in objects:
        found = pydicom.dcmread(one.path)
        series[one.kind.value] = (found.SeriesNumber, found.SeriesDescription)
        assert one.study_instance_uid == found.StudyInstanceUID == STUDY
        assert one.series_instance_uid == found.SeriesInstanceUID != SERIES
        assert one.sop_instance_uid == found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID
    assert series == {
        "seg": (7001, "AI lung-ct SEG"),
        "sr": (7002, "AI lung-ct SR"),
        "text": (7003, "AI lung-ct text"),
        "summary": (7004, "AI lung-ct summary"),
    }


def test_the_same_run_gives_the_same_bytes_and_another_run_other_uids(tmp_path: Path) -> None:
    """A run that is encoded again after a crash makes what it would have made."""
    made = make_series(tmp_path)
    findings = make_findings(made)
    folders = [tmp_path / name for name in ("first", "again", "next")]
    for folder in folders:
        folder.mkdir()
    first, again, other = (
        encode(findings, CARD, made.grid, made.paths, run, folder, volume=made.volume)
        for run, folder in zip((RUN, RUN, replace(RUN, run=2)), folders, strict=True)
    )

    assert [one.path.read_bytes() for one in first] == [one.path.read_bytes() for one in again]
    uids = [{uid for one in run for uid in (one.sop_instance_uid, one.series_instance_uid)} for run in (first, other)]
    assert uids[0] & uids[1] == set()


def test_times_are_the_analysis_start_on_the_sources_clock(tmp_path: Path) -> None:
    """22:30:15 UTC on the 6th is half past midnight of the 7th at +0200."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made))

    assert {(one.ContentDate, one.ContentTime) for one in found.values()} == {("20240507", "003015")}


def test_a_run_must_say_when_in_the_world_it_started() -> None:
    """A time without an offset would be another moment on every machine."""
    with pytest.raises(ValueError, match="offset from UTC"):
        RunIdentity("job", 1, datetime(2024, 5, 6))  # noqa: DTZ001


def test_our_own_objects_can_be_told_when_they_come_back(tmp_path: Path) -> None:
    """Contributing equipment names this product, and nobody else's name stands there without a device UID."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made))

    for one in found.values():
        equipment = one.ContributingEquipmentSequence
        assert [item.ManufacturerModelName for item in equipment] == ["lung-ct", "Isocenter"]
        assert all(item.DeviceUID for item in equipment)


def test_the_order_is_stated_by_images_and_documents_each_in_its_way(tmp_path: Path) -> None:
    """Request Attributes in SEG and summary, Referenced Request in both reports."""
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP-9", "SPS-1"
    made = make_series(tmp_path, changes={"RequestAttributesSequence": [request]})
    found = encoded(tmp_path / "out", made, make_findings(made))

    for name in ("seg", "0001"):
        assert found[name].RequestAttributesSequence[0].ScheduledProcedureStepID == "SPS-1"
    for name in ("sr", "text"):
        (item,) = found[name].ReferencedRequestSequence
        assert (item.RequestedProcedureID, item.AccessionNumber, item.StudyInstanceUID) == ("RP-9", "A-17", STUDY)


def test_a_body_part_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    """Scanners write what the protocol is called; it must not stop a result."""
    made = make_series(tmp_path)
    for path in made.paths.values():
        put_bytes(path, "BodyPartExamined", b"CHEST_ABDOMEN_PELVIS")
    found = encoded(tmp_path / "out", made, make_findings(made))

    assert [one.get("BodyPartExamined") for one in found.values()] == [None] * len(found)
    assert found["0001"].Laterality == ""


def test_a_name_of_the_reference_point_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    made = make_series(tmp_path)
    for path in made.paths.values():
        put_bytes(path, "PositionReferenceIndicator", b"x" * 66)
    found = encoded(tmp_path / "out", made, make_findings(made))

    assert found["seg"].PositionReferenceIndicator == ""


def test_segments_state_their_side_and_their_series_does_not(tmp_path: Path) -> None:
    """Two lungs in one series: it has no side, and dciodvfy takes one beside segments for an error (decision 0003)."""
    made = make_series(tmp_path, changes={"BodyPartExamined": "LUNG", "Laterality": "L"})
    found = encoded(tmp_path / "out", made, make_findings(made))

    assert "Laterality" not in found["seg"]
    assert found["seg"].SegmentSequence[0].AnatomicRegionSequence[0].AnatomicRegionModifierSequence
    assert found["0001"].Laterality == "L"


def test_results_of_a_multi_frame_image_state_the_side_of_its_frames(tmp_path: Path) -> None:
    made = make_enhanced(tmp_path, changes={"BodyPartExamined": "BREAST"})
    (path,) = made.paths.values()
    image, anatomy = pydicom.dcmread(path), Dataset()
    anatomy.FrameLaterality = "R"
    image.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]
    image.save_as(path)
    found = encoded(tmp_path / "out", made, make_findings(made))

    assert found["0001"].ImageLaterality == "R"


def test_documents_list_everything_that_the_model_was_given_as_evidence_once(tmp_path: Path) -> None:
    """Current Requested Procedure Evidence holds all that its maker knows of (PS3.3 C.17.2), also a stack of the same
    multi-frame object."""
    made = make_enhanced(tmp_path)
    grid_class = str(pydicom.dcmread(next(iter(made.paths.values()))).SOPClassUID)
    further = ((SERIES, next(iter(made.paths)), grid_class), *(("2.25.8", f"2.25.8.{n}", "1.2.3") for n in (1, 2)))
    found = encoded(tmp_path / "out", replace(made, grid=replace(made.grid, further=further)), make_findings(made))

    for name in ("sr", "text"):
        (study,) = found[name].CurrentRequestedProcedureEvidenceSequence
        listed = {
            one.SeriesInstanceUID: [item.ReferencedSOPInstanceUID for item in one.ReferencedSOPSequence]
            for one in study.ReferencedSeriesSequence
        }
        assert listed[SERIES] == list(made.paths)
        assert listed["2.25.8"] == ["2.25.8.1", "2.25.8.2"]


def test_an_order_that_is_not_what_dicom_allows_is_passed_on_as_it_is(tmp_path: Path) -> None:
    """An id that is too long, a code without its meaning, and the study the order names, which is no object here."""
    request, code, study = Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "CT1", "99RIS"
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "2.25.77"
    request.RequestedProcedureCodeSequence, request.ReferencedStudySequence = [code], [study]
    with pytest.warns(UserWarning, match="exceeds the maximum length"):
        request.RequestedProcedureID = "RP-2024-0506-000117"
    made = make_series(tmp_path, changes={"RequestAttributesSequence": [request]})
    found = encoded(tmp_path / "out", made, make_findings(made))

    assert found["seg"].RequestAttributesSequence[0].RequestedProcedureID == "RP-2024-0506-000117"
    assert found["sr"].ReferencedRequestSequence[0].ReferencedStudySequence[0].ReferencedSOPInstanceUID == "2.25.77"


def test_a_document_names_the_one_it_replaces(tmp_path: Path) -> None:
    """Each its own kind, so that an archive and a reader know which one is in force."""
    made = make_series(tmp_path)
    before = encoded(tmp_path / "one", made, make_findings(made))
    replaced = [
        Predecessor(name, before[name].SeriesInstanceUID, before[name].SOPClassUID, before[name].SOPInstanceUID)
        for name in ("sr", "text")
    ]
    after = encoded(tmp_path / "two", made, make_findings(made), run=replace(RUN, run=2), predecessors=replaced)

    for name in ("sr", "text"):
        (series,) = after[name].PredecessorDocumentsSequence[0].ReferencedSeriesSequence
        assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == before[name].SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in before["sr"]
