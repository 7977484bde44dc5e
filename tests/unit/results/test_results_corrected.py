"""Results of a study whose patient or order was corrected: they state what is registered, and nothing else."""

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from node.core.identity import Patient, Registered
from node.results.encode import encode
from node.results.result import ResultObject
from tests.unit.results.kinds import EVERY_KIND, FLAT_CARD, FULL_CARD, flat_findings, full_findings, make_radiograph
from tests.unit.results.made import RUN, Made, make_enhanced, make_series

ANA = Registered(Patient("P2", "HOSPITAL"), "A2", "Right^Ana", "19600102", "F")
UNKNOWN = Registered(Patient("P2", ""), "")
YAMADA = Registered(Patient("P2", ""), "A2", "Yamada^Tarou=山田^太郎")


def of_another(made: Made) -> None:
    """The images name somebody else, in every place where they can."""
    for path in made.paths.values():
        image = pydicom.dcmread(path)
        image.PatientName, image.PatientID, image.IssuerOfPatientID = "WRONG^Name", "WRONG1", "WRONGISS"
        image.PatientBirthDate, image.PatientSex, image.PatientAge = "19111111", "M", "111Y"
        image.OtherPatientIDs, image.PatientAddress, image.PatientMotherBirthName = "WRONG2", "WRONG3", "WRONG^Four"
        image.AccessionNumber, image.AdmissionID, image.RequestingPhysician = "WRONGACC", "WRONG5", "WRONG^Six"
        image.ReferringPhysicianName, image.RequestedProcedureID = "WRONG^Seven", "WRONG8"
        request = Dataset()
        request.AccessionNumber, request.RequestedProcedureID = "WRONGACC", "WRONG9"
        image.RequestAttributesSequence = [request]
        image.save_as(path)


def results(made: Made, folder: Path, registered: Registered | None, *, is_flat: bool = False) -> list[ResultObject]:
    folder.mkdir()
    card, findings = (FLAT_CARD, flat_findings(made)) if is_flat else (FULL_CARD, full_findings(made))
    options = {"volume": made.volume, "profile": EVERY_KIND, "registered": registered}
    return list(encode(findings, card, made.grid, made.paths, RUN, folder, **options))


@pytest.mark.parametrize("registered", [ANA, UNKNOWN], ids=["all", "only-an-id"])
@pytest.mark.parametrize("maker", [make_series, make_enhanced, make_radiograph])
def test_every_object_states_what_is_registered_and_nothing_else(tmp_path: Path, maker, registered: Registered) -> None:
    made = maker(tmp_path / "images")
    of_another(made)
    before = results(made, tmp_path / "before", None, is_flat=maker is make_radiograph)
    after = results(made, tmp_path / "after", registered, is_flat=maker is make_radiograph)

    assert [(one.kind, one.sop_instance_uid) for one in after] == [(one.kind, one.sop_instance_uid) for one in before]
    for one in after:
        found = pydicom.dcmread(one.path)
        assert found.PatientID == registered.patient.patient_id
        assert found.get("IssuerOfPatientID", "") == registered.patient.issuer
        assert str(found.PatientName) == registered.patient_name
        assert (found.PatientBirthDate, found.PatientSex) == (registered.birth_date, registered.sex)
        assert found.AccessionNumber == registered.accession
        content = one.path.read_bytes()
        for told in (b"WRONG", b"19111111", b"111Y"):
            assert told not in content, (one.kind, told)
    assert all(b"WRONG" in one.path.read_bytes() for one in before)


def test_where_it_was_found_stays_as_it_was(tmp_path: Path) -> None:
    made = make_series(tmp_path / "images")
    of_another(made)
    before, after = (
        pydicom.dcmread(next(one.path for one in results(made, tmp_path / name, registered) if one.kind.value == "seg"))
        for name, registered in (("before", None), ("after", ANA))
    )

    assert after.PixelData == before.PixelData
    assert after.PerFrameFunctionalGroupsSequence == before.PerFrameFunctionalGroupsSequence
    assert after.SharedFunctionalGroupsSequence == before.SharedFunctionalGroupsSequence
    assert (after.StudyInstanceUID, after.StudyDate) == (before.StudyInstanceUID, before.StudyDate)


def test_a_name_that_the_images_character_set_lacks_is_written_in_unicode(tmp_path: Path) -> None:
    made = make_series(tmp_path / "images", changes={"SpecificCharacterSet": "ISO_IR 100"})

    for one in results(made, tmp_path / "results", YAMADA):
        found = pydicom.dcmread(one.path)
        assert (found.SpecificCharacterSet, str(found.PatientName)) == ("ISO_IR 192", YAMADA.patient_name)
