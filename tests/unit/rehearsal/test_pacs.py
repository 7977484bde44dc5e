"""The stand-in PACS: an honest one for honest conduct, and each misbehaviour as asked for."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import AllStoragePresentationContexts

from node.rehearsal import conduct
from node.rehearsal.conduct import Breach, Conduct, Rejection
from node.rehearsal.modality import C_STORE_RQ, send_study
from node.rehearsal.pacs import StandInPacs
from node.sending.association import Association, AssociationFailed
from node.sending.destination import Destination
from node.sending.outcome import of_rejection
from node.sending.pdu import Tag
from tests.makers.series import cr_images, ct_series

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[StandInPacs]:
    with StandInPacs(tmp_path / "pacs") as running:
        yield running


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    return ct_series(tmp_path / "ct", slices=3)


def sent(pacs: StandInPacs, paths: list[Path]) -> list[int | None]:
    return [status for _, status in send_study(paths, "127.0.0.1", pacs.port, "SCANNER", pacs.ae_title)]


def peer(pacs: StandInPacs) -> Destination:
    return Destination("PACS", pacs.ae_title, "127.0.0.1", pacs.port, "SCANNER")


def test_keeps_what_was_sent_byte_for_byte(pacs: StandInPacs, series: list[Path]) -> None:
    assert sent(pacs, series) == [0, 0, 0]
    for path, arrival in zip(series, pacs.arrivals, strict=True):
        assert arrival.sop_instance_uid == dcmread(path).SOPInstanceUID
        assert (arrival.sop_class_uid, arrival.transfer_syntax_uid) == (CTImageStorage, ExplicitVRLittleEndian)
        assert arrival.calling_ae_title == "SCANNER"
        assert (
            arrival.path.read_bytes()[split_dataset(arrival.path)[1] :] == path.read_bytes()[split_dataset(path)[1] :]
        )


def test_takes_every_storage_class(pacs: StandInPacs) -> None:
    classes = [str(one.abstract_syntax) for one in AllStoragePresentationContexts]
    taken = set()
    for first in range(0, len(classes), 100):
        asked = [(one, ExplicitVRLittleEndian) for one in classes[first : first + 100]]
        with Association(peer(pacs), asked) as association:
            taken |= {pair[0] for pair in association.accepted}
    assert taken == set(classes)
    assert LABEL_MAP in taken


@pytest.mark.real("dcmtk")
def test_serves_another_implementation(pacs: StandInPacs, series: list[Path]) -> None:
    """DCMTK's echoscu and dcmsend are answered as by any PACS."""
    to = ["-aec", "PACS", "127.0.0.1", str(pacs.port)]
    subprocess.run(["echoscu", *to], check=True, capture_output=True)
    subprocess.run(["dcmsend", *to, *series], check=True, capture_output=True)
    assert len(pacs.arrivals) == 3


def test_waits_until_what_is_awaited_has_come(pacs: StandInPacs, series: list[Path]) -> None:
    sender = threading.Thread(target=sent, args=(pacs, series))
    sender.start()
    pacs.wait_for(lambda: len(pacs.arrivals) == 3, timeout_s=10)
    sender.join()


def test_waiting_in_vain_says_what_has_come(pacs: StandInPacs, series: list[Path]) -> None:
    sent(pacs, series)
    with pytest.raises(TimeoutError, match="1 associations and 3 C-STORE requests, and kept 3 instances"):
        pacs.wait_for(lambda: len(pacs.arrivals) == 4, timeout_s=0.05)


@pytest.mark.parametrize(("status", "kept"), [(0xB000, 3), (0xA700, 0), (0xC000, 0), (0x0122, 0), (0x0111, 0)])
def test_answers_the_status_it_is_told_to(pacs: StandInPacs, series: list[Path], status: int, kept: int) -> None:
    """Only success and warnings mean that the instance was kept."""
    pacs.conduct = Conduct(status=status)
    assert sent(pacs, series) == [status] * 3
    assert (len(pacs.arrivals), pacs.store_requests) == (kept, 3)


def test_answers_one_class_otherwise(pacs: StandInPacs, series: list[Path], tmp_path: Path) -> None:
    pacs.conduct = Conduct(status_of={CTImageStorage: 0xA900})
    assert sent(pacs, [*series[:1], *cr_images(tmp_path / "cr", views=["PA"])]) == [0xA900, 0]


@pytest.mark.parametrize(
    "rejection",
    [
        conduct.CALLED_AE_TITLE_NOT_RECOGNIZED,
        conduct.CALLING_AE_TITLE_NOT_RECOGNIZED,
        conduct.TEMPORARY_CONGESTION,
        conduct.LOCAL_LIMIT_EXCEEDED,
    ],
)
def test_rejects_associations_and_recovers(pacs: StandInPacs, series: list[Path], rejection: Rejection) -> None:
    pacs.conduct = Conduct(rejection=rejection)
    with pytest.raises(AssociationFailed) as failure:
        sent(pacs, series)
    assert failure.value.answer == of_rejection(rejection.result, rejection.source, rejection.reason)
    pacs.conduct = Conduct()
    assert sent(pacs, series) == [0, 0, 0]
    assert pacs.association_requests == 2


@pytest.mark.parametrize(("breach", "stores"), [(Breach.ABORT_AFTER_ASSOCIATION, 0), (Breach.ABORT_DURING_STORE, 1)])
def test_breaks_off(pacs: StandInPacs, series: list[Path], breach: Breach, stores: int) -> None:
    """An aborted C-STORE was not answered, and nothing of it is kept."""
    pacs.conduct = Conduct(breach=breach)
    with pytest.raises(AssociationFailed, match="broke the association off"):
        sent(pacs, series)
    assert (pacs.store_requests, pacs.arrivals) == (stores, ())


def test_never_answers_and_can_still_be_closed(series: list[Path], tmp_path: Path) -> None:
    with StandInPacs(tmp_path / "pacs", conduct=Conduct(breach=Breach.NO_ANSWER)) as pacs:
        failures: list[AssociationFailed] = []

        def send() -> None:
            with pytest.raises(AssociationFailed) as failure:
                sent(pacs, series)
            failures.append(failure.value)

        sender = threading.Thread(target=send)
        sender.start()
        pacs.wait_for(lambda: pacs.store_requests == 1, timeout_s=10)
        assert sender.is_alive()
    sender.join()
    assert len(failures) == 1
    assert pacs.arrivals == ()


def test_accepts_only_some_classes(pacs: StandInPacs, series: list[Path]) -> None:
    pacs.conduct = Conduct(accepts=(MRImageStorage,))
    assert sent(pacs, series) == [None, None, None]


@pytest.mark.parametrize("uid", ["../../escaped", "/tmp/escaped", "..", "1.2/3", "1.2\n3"])
def test_a_uid_that_is_none_never_becomes_a_path(
    pacs: StandInPacs, series: list[Path], tmp_path: Path, uid: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    kind = (str(CTImageStorage), str(ExplicitVRLittleEndian))
    with Association(peer(pacs), [kind]) as association, series[0].open("rb") as file:
        file.seek(split_dataset(series[0])[1])
        command: dict[Tag, int | str] = {
            Tag.AFFECTED_SOP_CLASS_UID: kind[0], Tag.COMMAND_FIELD: C_STORE_RQ, Tag.PRIORITY: 0,
            Tag.AFFECTED_SOP_INSTANCE_UID: uid,
        }  # fmt: skip
        assert association.request(association.accepted[kind], command, file).status == 0xC000
    assert sorted(tmp_path.rglob("*")) == before


def test_comes_back_on_the_same_port(series: list[Path], tmp_path: Path) -> None:
    with StandInPacs(tmp_path / "pacs") as first:
        pass
    with pytest.raises(AssociationFailed):
        sent(first, series)
    with StandInPacs(tmp_path / "pacs", port=first.port) as again:
        assert sent(again, series) == [0, 0, 0]


def test_closes_under_an_open_association_and_leaves_no_thread_behind(tmp_path: Path, series: list[Path]) -> None:
    """It breaks the association off and does not wait a minute until that is idle for too long."""
    before = threading.active_count()
    with ExitStack() as afterwards:
        with StandInPacs(tmp_path / "pacs") as pacs:
            assert sent(pacs, series) == [0, 0, 0]
            afterwards.enter_context(Association(peer(pacs), [(str(CTImageStorage), str(ExplicitVRLittleEndian))]))
            closing = time.monotonic()
        assert time.monotonic() - closing < 20
        assert threading.active_count() == before
