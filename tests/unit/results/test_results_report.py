"""The measurement report: every number with its region, and nothing unsaid where nothing was found."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import pydicom
import pytest
from pydicom.dataset import Dataset

from ai.findings import Findings, Measurement
from node.results.encode import MeasurementRow, measurement_rows
from tests.unit.results.made import ASSERTED, CARD, DETECTED, FINDING_CARD, encoded, make_findings, make_series

ALL = ("right-lung", "left-lung", "low-attenuation")


def items(tree: Dataset, meaning: str) -> Iterator[Dataset]:
    """Content items of that name, at any depth."""
    for item in tree.get("ContentSequence", []):
        if item.ConceptNameCodeSequence[0].CodeMeaning == meaning:
            yield item
        yield from items(item, meaning)


def number(item: Dataset) -> str:
    return str(item.MeasuredValueSequence[0].NumericValue)


def test_a_group_refers_to_its_segment_under_the_same_tracking_uid(tmp_path: Path) -> None:
    """An independent reader finds a volumetric group for every segment."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made))

    report = hd.sr.srread(tmp_path / "out" / "sr.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()

    seg = found["seg"]
    assert [group.tracking_uid for group in groups] == [item.TrackingUID for item in seg.SegmentSequence]
    for expected, group in enumerate(groups, 1):
        assert list(group.referenced_segment.referenced_segment_numbers) == [expected]
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID


def test_numbers_are_rounded_to_what_the_card_calls_meaningful(tmp_path: Path) -> None:
    """Viewers print the digits as they are: -812.345678901234 HU is -812.3, a volume has none after the point."""
    made = make_series(tmp_path)
    report = encoded(tmp_path / "out", made, make_findings(made))["sr"]

    assert [number(item) for item in items(report, "Attenuation Coefficient")] == ["-812.3"]
    assert all(number(item).isdigit() for item in items(report, "Volume"))


def test_a_number_of_both_lungs_stands_among_the_derived_with_both_segments(tmp_path: Path) -> None:
    """No union segment is made for it: it is inferred from segments 1 and 2, and says both sites."""
    made = make_series(tmp_path)
    report = encoded(tmp_path / "out", made, make_findings(made))["sr"]

    derived = next(items(report, "Derived Imaging Measurements"))
    share = next(items(derived, "Percentage of lung voxels below -950 HU"))
    assert number(share) == "6.0"
    assert next(items(share, "Tracking Identifier")).TextValue == "Both lungs"
    reference = next(items(share, "Referenced Segment"))
    assert reference.RelationshipType == "INFERRED FROM"
    assert list(reference.ReferencedSOPSequence[0].ReferencedSegmentNumber) == [1, 2]
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in items(share, "Laterality")] == ["Right", "Left"]


def test_an_absent_segment_is_said_to_be_absent_and_its_zero_refers_to_none(tmp_path: Path) -> None:
    """Its volume of 0 mL stands under its tracking UID, without a segment that is not there."""
    made = make_series(tmp_path)
    report = encoded(tmp_path / "out", made, make_findings(made, without=("low-attenuation",)))["sr"]

    derived = next(items(report, "Derived Imaging Measurements"))
    zero = next(item for item in items(derived, "Volume") if number(item) == "0")
    assert next(items(zero, "Tracking Identifier")).TextValue == "low-attenuation"
    assert list(items(zero, "Referenced Segment")) == []
    absent = next(items(report, "Low-attenuation area of lung"))
    assert absent.ConceptCodeSequence[0].CodeMeaning == "Absent"
    assert any("Low-attenuation area: none was found" in item.TextValue for item in items(report, "Comment"))


def test_where_nothing_was_found_the_report_says_so_region_by_region(tmp_path: Path) -> None:
    """Groups without segments, each with its zero and "Absent"; no reference to an object that was not made."""
    made = make_series(tmp_path)
    encoded(tmp_path / "out", made, make_findings(made, without=ALL))

    report = hd.sr.srread(tmp_path / "out" / "sr.dcm")
    groups = report.content.get_image_measurement_groups()

    assert [group.tracking_identifier for group in groups] == list(ALL)
    for group in groups:
        assert group.get_qualitative_evaluations()[-1].value.meaning == "Absent"
    assert list(items(report, "Referenced Segment")) == []


def test_a_number_of_the_study_has_its_place(tmp_path: Path) -> None:
    """A measurement without segments is among the derived, called "study"."""
    made = make_series(tmp_path)
    findings = replace(make_findings(made), measurements=(Measurement("volume", 4321.4),))
    report = encoded(tmp_path / "out", made, findings)["sr"]

    volume = next(items(next(items(report, "Derived Imaging Measurements")), "Volume"))
    assert (number(volume), next(items(volume, "Tracking Identifier")).TextValue) == ("4321", "study")


def test_algorithm_and_device_agree_wherever_dicom_names_them(tmp_path: Path) -> None:
    """IHE AIR table 6.5.3.1-1: equipment, observer, report and segments name one manufacturer, model, version, UID."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made))
    report = found["sr"]
    equipment = report.ContributingEquipmentSequence[0]
    identified = found["seg"].SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]

    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert equipment.Manufacturer == next(items(report, "Device Observer Manufacturer")).TextValue
    assert equipment.Manufacturer == identified.AlgorithmSource == CARD.vendor
    assert equipment.ManufacturerModelName == next(items(report, "Device Observer Model Name")).TextValue
    assert {item.TextValue for item in items(report, "Algorithm Name")} == {identified.AlgorithmName} == {CARD.name}
    assert {item.TextValue for item in items(report, "Algorithm Version")} == {equipment.SoftwareVersions}
    assert equipment.DeviceUID == next(items(report, "Device Observer UID")).UID


def test_another_digest_is_another_device(tmp_path: Path) -> None:
    """Retraining changes the device UID even where the version was forgotten (AIR 6.5.3.1)."""
    made = make_series(tmp_path)
    findings = make_findings(made)
    one = encoded(tmp_path / "one", made, findings)["sr"]
    other = encoded(tmp_path / "other", made, findings, card=replace(CARD, digest="cd" * 32))["sr"]

    assert one.ContributingEquipmentSequence[0].DeviceUID != other.ContributingEquipmentSequence[0].DeviceUID


def test_the_report_lists_every_source_image_once(tmp_path: Path) -> None:
    """Evidence: all images that were analysed, and every other object of the run; viewers stumble over doubles."""
    made = make_series(tmp_path)
    found = encoded(tmp_path / "out", made, make_findings(made))
    others = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm") if path.stem != "sr"]

    listed = [
        item.ReferencedSOPInstanceUID
        for series in found["sr"].CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    assert sorted(listed) == sorted([*made.paths, *(one.SOPInstanceUID for one in others)])


def test_the_notes_on_the_images_and_the_caution_stand_in_report_and_text(tmp_path: Path) -> None:
    """What was done to the geometry, what was left out, that nobody has reviewed it: wherever the numbers are."""
    made = make_series(tmp_path)
    notes = {"frame_of_reference_note": "Each slice had a frame of its own.", "left_out_note": "6 of the 10 images."}
    made = replace(made, grid=replace(made.grid, **notes))
    found = encoded(tmp_path / "out", made, make_findings(made))

    for name in ("sr", "text"):
        lines = [item.TextValue for item in items(found[name], "Comment")]
        assert {*notes.values()} <= {*lines}
        assert any("Not for diagnostic use" in line for line in lines)
        assert found[name].VerificationFlag == "UNVERIFIED"


def test_the_text_report_says_the_numbers_in_words(tmp_path: Path) -> None:
    """A title other than (126000, DCM), and a sentence for each region."""
    made = make_series(tmp_path)
    text = encoded(tmp_path / "out", made, make_findings(made, without=("low-attenuation",)))["text"]

    assert text.ConceptNameCodeSequence[0].CodeValue == "18748-4"
    lines = [item.TextValue for item in items(text, "Finding")]
    assert "Right lung: Volume 16 mL, Mean attenuation -812.3 HU." in lines
    assert "Low-attenuation area: none was found." in lines


def test_measurement_rows_are_what_the_card_says_of_the_numbers() -> None:
    """Rounded value, code and unit; "Both lungs" of the pair, "study" of none; never minus zero."""
    findings = Findings(
        measurements=(
            Measurement("laa-950", 6.04999, ("right-lung", "left-lung")),
            Measurement("volume", -0.2),
            Measurement("volume", 3.5, ("right-lung", "low-attenuation")),
        )
    )

    rows = measurement_rows(findings, CARD)

    assert rows[0] == MeasurementRow(
        "Both lungs", "Low-attenuation area below -950 HU", "LAA950", "99ISOCENTER", 6.0, "%"
    )
    assert (rows[1].segment, str(rows[1].value)) == ("study", "0.0")
    assert rows[2].segment == "Right lung + Low-attenuation area"


def test_no_reader_needs_more_than_a_data_set_to_find_the_report_type(tmp_path: Path) -> None:
    """Comprehensive SR with template 1500: what Horos, Stone and OHIF look for."""
    made = make_series(tmp_path)
    encoded(tmp_path / "out", made, make_findings(made))
    report = pydicom.dcmread(tmp_path / "out" / "sr.dcm")

    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"


def test_many_numbers_are_checked_without_comparing_each_with_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report of 3000 detections took minutes."""

    def compare(_one: Dataset, _other: object) -> bool:
        raise AssertionError("items were compared with one another")

    made = make_series(tmp_path / "source")
    findings = replace(make_findings(made), detections=DETECTED, classifications=ASSERTED)
    monkeypatch.setattr(Dataset, "__eq__", compare)

    report = encoded(tmp_path / "out", made, findings, card=FINDING_CARD)["sr"]
    monkeypatch.undo()
    assert len([*items(report, "Probability")]) == 4
