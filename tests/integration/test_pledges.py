"""A peer may ask this node to keep what it sent: it is answered from the files, told here or there, and held to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import build_role, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.events import Event

from node.configuration import read_configuration
from node.errors import ConfigurationInvalid
from node.intake.indexer import Indexer
from node.intake.pledging import Pledging
from node.rehearsal.modality import send_study
from node.rehearsal.running import free_ports
from node.sending.destination import Destination, WebAddress
from node.sending.reporting import Reporting
from node.settings import SendingTable
from node.state import pledges, retention, schema
from node.state.retention import Periods
from node.state.spool import Spool
from node.state.transaction import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE
from tests.makers.ledger import Books, books
from tests.makers.orthanc import running_orthanc
from tests.makers.receiver import Door, opened, process_settings, wait_for
from tests.makers.series import ct_series

__all__ = ["process_settings"]


@dataclass
class Provider:
    """The node's part: a receiver, and in one step what the service does every two seconds."""

    found: Books
    door: Door
    indexer: Indexer
    pledging: Pledging
    reporting: Reporting
    files: list[Path]

    def work(self) -> None:
        self.indexer.drain()
        self.pledging.look()
        self.reporting.report_due()

    def untold(self) -> list[pledges.Pledge]:
        with self.found.ledger.read() as connection:
            return pledges.untold(connection)


@dataclass
class Asker:
    """A scanner that asks, and listens for the report."""

    port: int
    node_port: int
    reports: list[Dataset] = field(default_factory=list)

    def ask(self, files: list[Path], *, wait: Provider | None = None, change: str = "") -> int:
        """The status of the answer. wait: keep the association until the report has come on it."""
        entity = ApplicationEntity("CT")
        entity.add_requested_context(PUSH_MODEL_CLASS)
        heard = (evt.EVT_N_EVENT_REPORT, self._hear)
        association = entity.associate("127.0.0.1", self.node_port, ae_title="ISOCENTER", evt_handlers=[heard])
        if not association.accepted_contexts:
            association.abort()
            return -1
        request = Dataset()
        request.TransactionUID = f"1.2.{len(self.reports)}.7"
        request.ReferencedSOPSequence = []
        for path in files:
            image, item = dcmread(path, stop_before_pixels=True), Dataset()
            item.ReferencedSOPClassUID = change or image.SOPClassUID
            item.ReferencedSOPInstanceUID = image.SOPInstanceUID
            request.ReferencedSOPSequence.append(item)
        status, _ = association.send_n_action(request, 1, PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE)
        if wait is not None:
            before = len(self.reports)
            wait.work()
            wait_for(lambda: len(self.reports) > before)
        association.release()
        return int(status.Status)

    def _hear(self, event: Event) -> tuple[int, None]:
        self.reports.append(event.event_information)
        return 0, None

    @contextmanager
    def listening(self) -> Iterator[None]:
        entity = ApplicationEntity("CT")
        entity.add_supported_context(PUSH_MODEL_CLASS, scu_role=False, scp_role=True)
        heard = [(evt.EVT_N_EVENT_REPORT, self._hear)]
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=heard)
        try:
            yield
        finally:
            server.shutdown()


def outcomes(report: Dataset) -> tuple[int, list[int]]:
    """How many are committed, and the reasons of the others."""
    failed = report.get("FailedSOPSequence") or []
    return len(report.get("ReferencedSOPSequence") or []), [one.FailureReason for one in failed]


@pytest.fixture
def asker() -> Asker:
    return Asker(free_ports(1)[0], 0)


@pytest.fixture
def provider(tmp_path: Path, asker: Asker) -> Iterator[Provider]:
    home = tmp_path / "home"
    home.mkdir()
    here = {"address": "127.0.0.1", "port": asker.port, "roles": ["source"]}
    peers = [
        {"name": "ct", "ae_title": "CT", "commitment": True, "archive": "pacs", **here},
        {"name": "mr", "ae_title": "MR", **here},
    ]
    configuration = {
        "settings": {"intake": {"disk_reserve_mb": 1, "refuse_associations_mb": 1}},
        "peers": peers,
    }
    with books(home) as found, opened(home, configuration=configuration) as door:
        asker.node_port = door.port
        spool = Spool(home)
        to = Destination("ct", "CT", "127.0.0.1", asker.port, "ISOCENTER", None, *[2.0] * 4)
        yield Provider(
            found,
            door,
            Indexer(found.ledger, spool, home=home, clock=found.clock),
            Pledging(found.ledger, spool, home, {"ct": "pacs"}, found.clock),
            Reporting(found.ledger, {"ct": to}, {}, SendingTable(), found.clock),
            ct_series(tmp_path / "ct", slices=3),
        )


def stored(provider: Provider) -> None:
    send_study(provider.files, "127.0.0.1", provider.door.port, "CT", "ISOCENTER")


def test_it_is_told_on_the_association_on_which_it_asked(provider: Provider, asker: Asker) -> None:
    stored(provider)
    status = asker.ask(provider.files, wait=provider)
    provider.work()

    assert status == 0
    assert [outcomes(one) for one in asker.reports] == [(3, [])]
    assert provider.untold() == []


def test_it_is_called_where_its_association_has_ended(provider: Provider, asker: Asker) -> None:
    """First it does not listen: it is tried again later."""
    stored(provider)
    asker.ask(provider.files)
    provider.work()
    (waiting,) = provider.untold()
    with asker.listening():
        provider.work()
        early = list(asker.reports)
        provider.found.clock.forward(seconds=31)
        provider.work()
        provider.work()

    assert waiting.tries == 1
    assert early == []
    assert [outcomes(one) for one in asker.reports] == [(3, [])]
    assert provider.untold() == []


def test_an_answer_that_found_no_ear_on_its_association_is_told_on_another(provider: Provider, asker: Asker) -> None:
    """It was open when the answer was ready, and ended before it was told."""
    stored(provider)
    asker.ask(provider.files)
    provider.pledging._is_open = lambda _pledge: True
    provider.work()
    del provider.pledging._is_open
    with asker.listening():
        provider.work()
        provider.work()

    assert [outcomes(one) for one in asker.reports] == [(3, [])]


def test_what_is_not_there_or_not_what_it_was_is_not_pledged(provider: Provider, asker: Asker) -> None:
    """One was never sent, one was changed by the disk."""
    send_study(provider.files[:2], "127.0.0.1", provider.door.port, "CT", "ISOCENTER")
    provider.indexer.drain()
    spoilt = next(one for one in provider.door.files() if dcmread(one).InstanceNumber == 1)
    content = bytearray(spoilt.read_bytes())
    content[-1] ^= 1
    spoilt.write_bytes(content)
    asker.ask(provider.files, wait=provider)

    (report,) = asker.reports
    assert outcomes(report)[0] == 1
    assert sorted(outcomes(report)[1]) == [0x0110, 0x0112]


def test_another_class_is_a_conflict(provider: Provider, asker: Asker) -> None:
    stored(provider)
    asker.ask(provider.files[:1], wait=provider, change="1.2.840.10008.5.1.4.1.1.4")

    assert [outcomes(one) for one in asker.reports] == [(0, [0x0119])]


def test_what_is_acknowledged_and_not_indexed_yet_is_waited_for(provider: Provider, asker: Asker) -> None:
    stored(provider)
    asker.ask(provider.files)
    provider.pledging.look()
    (before,) = provider.untold()
    with asker.listening():
        provider.work()

    assert before.outcomes is None
    assert [outcomes(one) for one in asker.reports] == [(3, [])]


def test_nobody_else_may_ask(provider: Provider) -> None:
    """It is off by default: a sender may delete on it."""
    entity = ApplicationEntity("MR")
    entity.add_requested_context(PUSH_MODEL_CLASS)
    role = build_role(PUSH_MODEL_CLASS, scu_role=True)
    association = entity.associate("127.0.0.1", provider.door.port, ae_title="ISOCENTER", ext_neg=[role])

    assert association.accepted_contexts == []
    association.abort()


def periods() -> Periods:
    day = timedelta(days=1)
    return Periods(day, 90 * day, 730 * day, {})


@pytest.mark.real("orthanc")
@pytest.mark.parametrize("asks", ["C-FIND", "QIDO-RS"])
def test_what_was_pledged_stays_until_the_archive_holds_it(
    provider: Provider, asker: Asker, tmp_path: Path, asks: str
) -> None:
    def purged() -> int:
        return retention.retain(found.ledger, found.home, periods(), found.clock()).studies

    found = provider.found
    stored(provider)
    asker.ask(provider.files, wait=provider)
    with found.ledger.write() as connection:
        connection.execute(schema.study.update().values(state="complete", completed_at=found.clock()))
    found.clock.forward(days=30)
    with running_orthanc(tmp_path / "orthanc", more={"DicomAlwaysAllowFind": True}) as orthanc:
        web = WebAddress(f"{orthanc.url}/dicom-web") if asks == "QIDO-RS" else None
        port = 1 if web else orthanc.port  # each is asked in its own way alone
        archive = Destination("pacs", orthanc.ae_title, "127.0.0.1", port, "ISOCENTER", web=web)
        reporting = Reporting(found.ledger, {}, {"pacs": archive}, SendingTable(), found.clock)
        held = []
        for count in (0, 2, 3):
            if count:
                send_study(provider.files[:count], "127.0.0.1", orthanc.port, "CT", orthanc.ae_title)
            reporting.see()
            held.append(purged())

    assert held == [0, 0, 1]
    assert provider.door.files() == []


@pytest.mark.real("orthanc")
def test_orthanc_asks_and_is_told(tmp_path: Path) -> None:
    """Against a client of another maker, which is told on an association of ours."""
    import httpx

    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "orthanc").mkdir()
    port, http_port = free_ports(2)
    peer = {"name": "ct", "ae_title": "PACS", "commitment": True, "archive": "ct", "address": "127.0.0.1", "port": port}
    configuration = {"settings": {"intake": {"disk_reserve_mb": 1, "refuse_associations_mb": 1}}, "peers": [peer]}
    files = ct_series(tmp_path / "ct", slices=2)
    with books(home) as found, opened(home, configuration=configuration) as door:
        us = {"AET": "ISOCENTER", "Host": "127.0.0.1", "Port": door.port, "AllowStorageCommitment": True}
        more = {"DicomPort": port, "HttpPort": http_port, "DicomModalities": {"node": us}}
        spool = Spool(home)
        to = Destination("ct", "PACS", "127.0.0.1", port, "ISOCENTER")
        send_study(files, "127.0.0.1", door.port, "PACS", "ISOCENTER")
        with running_orthanc(tmp_path / "orthanc", more=more):
            url = f"http://127.0.0.1:{http_port}"
            named = [[str(dcmread(one).SOPClassUID), str(dcmread(one).SOPInstanceUID)] for one in files]
            answer = httpx.post(f"{url}/modalities/node/storage-commitment", json={"DicomInstances": named}, timeout=30)
            asked = answer.raise_for_status().json()
            Indexer(found.ledger, spool, home=home, clock=found.clock).drain()
            Pledging(found.ledger, spool, home, {"ct": "ct"}, found.clock).look()
            Reporting(found.ledger, {"ct": to}, {}, SendingTable(), found.clock).report_due()
            told = httpx.get(f"{url}/storage-commitment/{asked['ID']}", timeout=30).json()

    assert told["Status"] == "Success"
    assert len(told["Success"]) == 2


def test_who_may_ask_needs_an_archive(tmp_path: Path) -> None:
    """Else its instances would stay here for ever, or be lost with its own copy."""
    (tmp_path / "node.toml").touch()
    (tmp_path / "routes.toml").touch()
    peer = '[[peer]]\nname = "ct"\nae_title = "CT"\naddress = "192.0.2.1"\nport = 104\ncommitment = true\n'
    for more, words in (("", "the archive"), ('archive = "pacs"\n', "names archive 'pacs', which is unknown")):
        (tmp_path / "peers.toml").write_text(peer + more)
        with pytest.raises(ConfigurationInvalid, match=words):
            read_configuration(tmp_path, environment={})
