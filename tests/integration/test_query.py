"""Questions to a real archive by C-FIND, and to ones that do not answer them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.sending.destination import Destination, QueryRefused
from node.sending.query import find, instances_held
from node.service.source_count import SourceCount
from node.state.arrivals import gathering_studies
from tests.makers.ledger import books, ct_slice
from tests.makers.orthanc import running_orthanc
from tests.makers.series import ct_series

pytestmark = pytest.mark.real("orthanc")


def uid(path: Path, keyword: str) -> str:
    return str(dcmread(path, stop_before_pixels=True)[keyword].value)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Destination, list[Path]]]:
    folder = tmp_path_factory.mktemp("archive")
    files = ct_series(folder / "ct", slices=5) + ct_series(folder / "other", slices=3, series="other")
    with running_orthanc(folder / "orthanc", more={"DicomAlwaysAllowFind": True}) as orthanc:
        send_study(files, "127.0.0.1", orthanc.port, "CT", orthanc.ae_title)
        yield Destination("pacs", orthanc.ae_title, "127.0.0.1", orthanc.port, "ISOCENTER"), files


def test_the_instances_of_a_series_are_told(archive: tuple[Destination, list[Path]]) -> None:
    peer, files = archive
    study, series = uid(files[0], "StudyInstanceUID"), uid(files[0], "SeriesInstanceUID")

    assert instances_held(peer, study, [series]) == {uid(path, "SOPInstanceUID") for path in files[:5]}


def test_what_is_not_there_is_not_told(archive: tuple[Destination, list[Path]]) -> None:
    peer, files = archive

    assert instances_held(peer, uid(files[0], "StudyInstanceUID"), ["1.2.3"]) == set()


def test_a_study_is_described(archive: tuple[Destination, list[Path]]) -> None:
    peer, files = archive
    keys = {"StudyInstanceUID": uid(files[0], "StudyInstanceUID"), "PatientID": "", "NumberOfStudyRelatedInstances": ""}
    (match,) = find(peer, "STUDY", keys)

    assert (match.PatientID, match.NumberOfStudyRelatedInstances) == ("TEST-1", 8)


def test_an_archive_that_takes_no_queries_is_told_apart(tmp_path: Path) -> None:
    with StandInPacs(tmp_path) as pacs:
        peer = Destination("pacs", pacs.ae_title, "127.0.0.1", pacs.port, "ISOCENTER")
        with pytest.raises(QueryRefused, match="enable C-FIND there for ISOCENTER"):
            find(peer, "STUDY", {"StudyInstanceUID": "1.2.3"})


def test_a_source_is_asked_what_it_still_holds(archive: tuple[Destination, list[Path]], tmp_path: Path) -> None:
    """Four of the five images of one series have arrived; the other series, of which none came, does not count."""
    peer, files = archive
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    uids = [{name: uid(path, name) for name in names} for path in files]

    def answer(count: int) -> bool:
        with books(tmp_path / str(count)) as found:
            for number, one in enumerate(uids[:count]):
                facts = replace(
                    ct_slice(number),
                    study_uid=one["StudyInstanceUID"],
                    series_uid=one["SeriesInstanceUID"],
                    sop_instance_uid=one["SOPInstanceUID"],
                )
                found.arrive(facts)
            counts = SourceCount(found.ledger, {"pacs": peer}, found.clock)
            with found.ledger.read() as connection:
                (study,) = gathering_studies(connection)
            assert counts.is_lacking(study)  # just asked
            counts._questions[study.id, study.last_at].is_lacking.result(20)
            return counts.is_lacking(study)

    (tmp_path / "4").mkdir()
    (tmp_path / "5").mkdir()
    assert (answer(4), answer(5)) == (True, False)
