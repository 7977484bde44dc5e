"""STOW-RS takes what C-STORE takes, with the same answers, in bounded memory, from whoever has a peer's token."""

import gzip
import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest
import uvicorn
from pydicom import Dataset, dcmread

from node.admin import stow
from node.admin.stow import stow_app
from node.intake.door import Door
from node.intake.journal import Journal
from node.intake.stow import StowDoor
from node.rehearsal.modality import send_study
from node.rehearsal.running import running_node
from node.settings import Configuration
from node.state import schema
from node.state.associations import AssociationOutcome, AssociationRecord, Associations
from node.state.seats import Caps, Seat, Seats
from node.state.spool import Spool
from tests.makers.disks import read_only
from tests.makers.elements import INSTANCE, ct
from tests.makers.orthanc import running_orthanc
from tests.makers.part10 import data_set_of, part10
from tests.makers.receiver import wait_for
from tests.makers.series import ct_series

TOKEN = "a-token-of-some-length"  # noqa: S105  of these tests alone
BOUNDARY = "frontier"
KIND = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'

HEAD = f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {KIND}\r\n"


@dataclass
class Service:
    """STOW-RS at work on a free port, and what it kept."""

    home: Path
    port: int
    door: Door
    seats: Seats
    """As a receiver of the same home sees them."""
    stopping: threading.Event

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/dicom-web/studies"

    def post(
        self, body: bytes | Iterator[bytes], *, token: str = TOKEN, kind: str = KIND, study: str = "", accept: str = ""
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}".strip(), "Content-Type": kind, "Accept": accept or "*/*"}
        return httpx.post(self.url + study, content=body, headers=headers, timeout=60)

    def files(self) -> list[Path]:
        return sorted((self.home / "spool").rglob("instances/*/*"))

    def aside(self) -> list[Path]:
        return list((self.home / "spool" / "aside").iterdir())

    def records(self) -> list[AssociationRecord]:
        return Associations(self.home).records()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    home = tmp_path / "home"
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "other").write_text("another")
    peers = [
        {"name": "web", "ae_title": "WEB", "roles": ["source"], "token_file": str(tmp_path / "token")},
        {
            "name": "away", "ae_title": "AWAY", "roles": ["source"], "token_file": str(tmp_path / "other"),
            "addresses": ["10.0.0.0/8"],
        },
    ]  # fmt: skip
    caps = {"associations": 40, "associations_per_address": 20}
    intake = {"disk_reserve_mb": 1, "refuse_associations_mb": 1, "max_instance_mb": 1, "stow": True, **caps}
    configuration = Configuration.model_validate({"settings": {"intake": intake}, "peers": peers})
    spool = Spool(home)
    spool.open()

    def now() -> datetime:
        return datetime.now(UTC)

    journal = Journal(home, now)
    stopping = threading.Event()
    door = Door(spool, configuration.settings.intake, lambda: None, stopping)
    ours, receivers = Seats(home, Caps(**caps)), Seats(home, Caps(**caps))
    app = stow_app(StowDoor(configuration, door, journal, ours, now).open)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        wait_for(lambda: server.started)
        yield Service(home, listening.getsockname()[1], door, receivers, stopping)
        server.should_exit = True
        thread.join(10)
    for one in (ours, receivers, journal):
        one.close()


def body(*files: bytes, end: str = "--", headers: str = "Content-Type: application/dicom\r\n") -> bytes:
    parts = [f"--{BOUNDARY}\r\n{headers}\r\n".encode() + one + b"\r\n" for one in files]
    return b"".join(parts) + f"--{BOUNDARY}{end}\r\n".encode()


def file(tmp_path: Path, data_set: bytes | None = None, **changes: str) -> bytes:
    path = part10(tmp_path / "one.dcm", ct() if data_set is None else data_set, **changes)
    return path.read_bytes()


def failures(answer: httpx.Response) -> list[int]:
    """Of instances that are named, then of those that could not be."""
    told = [answer.json().get(tag, {"Value": []})["Value"] for tag in ("00081198", "0008119A")]
    assert [sorted(one) for items in told for one in items] == [
        *[["00081150", "00081155", "00081197"] for _ in told[0]],
        *[["00081197"] for _ in told[1]],
    ]
    return [one["00081197"]["Value"][0] for items in told for one in items]


def stored(answer: httpx.Response) -> list[str]:
    items = answer.json().get("00081199", {"Value": []})["Value"]
    return [one["00081155"]["Value"][0] for one in items]


def test_an_instance_lies_in_the_spool_when_it_is_answered(service: Service, tmp_path: Path) -> None:
    answer = service.post(body(file(tmp_path)))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    assert (stored(answer), failures(answer)) == ([INSTANCE], [])
    assert [data_set_of(path) for path in service.files()] == [ct()]
    (record,) = service.records()
    assert (record.peer, record.calling_ae, record.stored) == ("web", "WEB", 1)
    assert record.outcome is AssociationOutcome.RELEASED


def test_a_preamble_that_is_a_program_does_not_come_in(service: Service, tmp_path: Path) -> None:
    content = b"MZ" + bytes(126) + file(tmp_path)[128:]
    service.post(body(content))

    assert service.files()[0].read_bytes()[:128] == bytes(128)


def test_some_stored_and_some_not_is_202(service: Service, tmp_path: Path) -> None:
    """Each with the status that C-STORE would have been answered."""
    short = ct(instance="1.2.3.9")
    parts = [
        file(tmp_path),
        file(tmp_path, ct(instance="1.2.3.5")),
        file(tmp_path, short[:-50], instance="1.2.3.9"),
        b"no DICOM",
        file(tmp_path, sop_class="1.2.840.10008.1.3.10"),
        file(tmp_path, ct(pixels=bytes(2 << 20))),
        b"",
    ]
    answer = service.post(body(*parts))

    assert answer.status_code == 202
    assert stored(answer) == [INSTANCE]
    assert failures(answer) == [0xA900, 0xC000, 0x0122, 0xC000, 0xC000, 0xC000]
    assert len(answer.json()["0008119A"]["Value"]) == 2
    assert len(service.files()) == 1
    assert service.aside() == []


def test_none_stored_is_409_and_none_sent_is_400(service: Service) -> None:
    assert service.post(body(b"nothing")).status_code == 409
    assert service.post(body()).status_code == 400
    assert service.post(b"").status_code == 400


def test_what_is_stored_cannot_be_retrieved_here_and_the_answer_says_so(service: Service, tmp_path: Path) -> None:
    """Retrieve URL is there and empty (type 2, PS3.18 table I.1-1), in the study and in each instance."""
    model = Dataset.from_json(service.post(body(file(tmp_path))).text)
    (instance,) = model.ReferencedSOPSequence

    assert (model["RetrieveURL"].VR, model.RetrieveURL, instance.RetrieveURL) == ("UR", "", "")
    assert service.post(body(b"nothing")).json()["00081190"] == {"vr": "UR"}


def test_the_answer_comes_as_xml_where_that_is_asked_for(service: Service, tmp_path: Path) -> None:
    answer = service.post(body(file(tmp_path), b"nothing"), accept="application/dicom+xml")
    model = ET.fromstring(answer.content)  # noqa: S314  our own answer

    assert answer.headers["content-type"] == "application/dicom+xml"
    assert model.tag == "NativeDicomModel"
    named = [one.get("keyword") for one in model]
    assert named == ["RetrieveURL", "ReferencedSOPSequence", "OtherFailuresSequence"]
    assert [one.text for one in model.iter("Value")] == ["1.2.840.10008.5.1.4.1.1.2", INSTANCE, str(0xC000)]


def test_a_study_may_be_named_and_no_other_then_comes_in(service: Service, tmp_path: Path) -> None:
    one = file(tmp_path)
    study = str(dcmread(tmp_path / "one.dcm").StudyInstanceUID)

    assert failures(service.post(body(one), study="/9.9.9")) == [0xA900]
    assert service.files() == []
    assert service.post(body(one), study=f"/{study}").status_code == 200
    assert service.post(body(one), study="/..%2F..%2Fetc").status_code in (400, 404)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", "another"])
def test_who_has_no_token_or_calls_from_elsewhere_is_not_let_in(service: Service, tmp_path: Path, token: str) -> None:
    answer = service.post(body(file(tmp_path)), token=token)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert service.files() == []
    (record,) = service.records()
    assert "token_file and addresses of the peer in peers.toml" in record.why
    assert TOKEN not in record.why


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/dicom", 415),
        ("multipart/form-data; boundary=frontier", 415),
        ('multipart/related; type="application/dicom+json"; boundary=frontier', 415),
        ("multipart/related; type=application/dicom", 400),
        (f"multipart/related; boundary={'x' * 300}", 400),
        ("multipart/related; boundary=frontier", 200),
    ],
)
def test_other_media_types_are_not_taken(service: Service, tmp_path: Path, kind: str, status: int) -> None:
    assert service.post(body(file(tmp_path)), kind=kind).status_code == status


@pytest.mark.parametrize(
    "before",
    [
        b"\r\n",
        b"This is a multipart message.\r\n",
        b"--front\r\n--frontiers\r\n and --frontier\r\n",
        b"a" * 4000 + b"\r\n",
    ],
)
@pytest.mark.parametrize("pieces", [1, 7, 100_000])
def test_what_stands_before_the_first_boundary_says_nothing(
    service: Service, tmp_path: Path, before: bytes, pieces: int
) -> None:
    """A preamble (RFC 2046 5.1.1), however the body is cut into pieces."""
    whole = before + body(file(tmp_path))
    answer = service.post(whole[at : at + pieces] for at in range(0, len(whole), pieces))

    assert (answer.status_code, stored(answer)) == (200, [INSTANCE])
    assert [data_set_of(path) for path in service.files()] == [ct()]


@pytest.mark.parametrize("padding", [b" ", b"\t \t"])
def test_blanks_may_follow_a_boundary(service: Service, tmp_path: Path, padding: bytes) -> None:
    """Mail gateways used to put them there (RFC 2046 5.1.1)."""
    whole = body(file(tmp_path), file(tmp_path, ct(instance="1.2.3.9"), instance="1.2.3.9"))
    answer = service.post(whole.replace(b"--frontier\r\n", b"--frontier" + padding + b"\r\n"))

    assert (answer.status_code, len(service.files())) == (200, 2)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-own", "identity, gzip"])
def test_a_body_that_is_compressed_is_told_so(service: Service, tmp_path: Path, coding: str) -> None:
    """415 (RFC 9110 15.5.16): its sender would look for a wrong boundary in vain."""
    answer = httpx.post(
        service.url,
        content=gzip.compress(body(file(tmp_path))),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": KIND, "Content-Encoding": coding},
        timeout=60,
    )

    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert "Content-Encoding" in answer.text


def test_the_type_may_be_written_in_capitals(service: Service, tmp_path: Path) -> None:
    kind = f'Multipart/Related; Type="Application/DICOM"; boundary="{BOUNDARY}"'

    assert service.post(body(file(tmp_path)), kind=kind).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage",
        b"a" * 100_000 + b"\r\n--frontier\r\n\r\nb\r\n--frontier--",
        b"--frontier",
        b"--frontier\r\n",
        b"--frontier\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"--frontier\r\n" + b"X: y\r\n" * 100 + b"\r\nz\r\n--frontier--",
        b"--frontier\r\nno header\r\n\r\n",
        b"\x00" * 1000,
    ],
)
def test_hostile_bodies_are_400_and_leave_nothing(service: Service, tmp_path: Path, sent: bytes) -> None:
    assert service.post(sent).status_code == 400
    assert "boundary that its Content-Type names" in service.records()[-1].why
    assert service.files() == service.aside() == []
    assert service.post(body(file(tmp_path))).status_code == 200


def test_a_body_that_is_cut_off_keeps_what_was_whole(service: Service, tmp_path: Path) -> None:
    """It is answered 400, for its sender must send the rest again; what was whole before is durable."""
    whole = body(file(tmp_path), file(tmp_path, ct(instance="1.2.3.9"), instance="1.2.3.9"))

    for cut in range(20, len(whole) - 5, len(whole) // 10):
        assert service.post(whole[:cut]).status_code == 400
        assert service.aside() == []
    assert len(service.files()) <= 1


@pytest.mark.parametrize("drips", [False, True])
def test_a_sender_that_goes_silent_or_hardly_sends_is_given_up(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drips: bool
) -> None:
    """Its place is for others: one byte now and then would hold it for ever."""
    monkeypatch.setattr(stow, "STALL_S", 1.0)
    whole = body(file(tmp_path))
    with closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)) as connection:
        connection.putrequest("POST", "/dicom-web/studies")
        for name, value in (("Authorization", f"Bearer {TOKEN}"), ("Content-Type", KIND), ("Content-Length", "9999")):
            connection.putheader(name, value)
        connection.endheaders(whole[:400])
        begun = time.monotonic()
        for byte in whole[400:500] if drips else b"":
            if select.select([connection.sock], [], [], 0.1)[0]:
                break
            connection.send(bytes([byte]))
        assert connection.getresponse().status == 408
    assert 0.5 < time.monotonic() - begun < 5
    assert "stopped in the middle" in service.records()[-1].why
    assert service.aside() == []
    (record,) = service.records()
    assert record.outcome is AssociationOutcome.ABORTED


def test_a_sender_that_is_slow_and_goes_on_is_waited_for(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that counts is that enough of it comes, and how long it is waited for: not for how long in all."""
    monkeypatch.setattr(stow, "STALL_S", 1.5)
    whole = body(file(tmp_path, ct(pixels=bytes(350_000))))

    def slowly() -> Iterator[bytes]:
        for at in range(0, len(whole), 70_000):
            time.sleep(0.5)  # that is how slow it is
            yield whole[at : at + 70_000]

    assert service.post(slowly()).status_code == 200


def test_a_sender_that_vanishes_leaves_nothing(service: Service, tmp_path: Path) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as rude:
        rude.sendall(f"{HEAD}Content-Length: 99999\r\n\r\n".encode() + body(file(tmp_path))[:600])
        wait_for(lambda: service.records() != [])
    wait_for(lambda: all(not one.is_open for one in service.records()))

    assert service.files() == service.aside() == []


def test_an_endless_instance_costs_no_memory(service: Service, tmp_path: Path) -> None:
    """It is read to its end and dropped, and the next one is taken."""

    def endless() -> Iterator[bytes]:
        yield body(file(tmp_path), end="")[: -len(f"--{BOUNDARY}\r\n") - 2]
        for _ in range(300):
            yield bytes(1 << 20)
        yield b"\r\n" + body(file(tmp_path))

    before = _memory_mb()
    answer = service.post(endless())

    assert answer.status_code == 202
    assert failures(answer) == [0xC000]
    assert _memory_mb() - before < 64


def test_below_the_mark_no_request_is_taken(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.door.spool, "free_mb", lambda: 0)
    answer = service.post(body(file(tmp_path)))

    assert (answer.status_code, service.files()) == (503, [])
    assert answer.headers["retry-after"]


@pytest.mark.real("mounts")
def test_a_disk_that_takes_nothing_asks_to_come_back(service: Service, tmp_path: Path) -> None:
    """503 (RFC 9110 15.6.4): a sender takes 409 for its own fault and does not try again. Where anything else is
    wrong too it is 409, as PS3.18 table 10.5.3-1 has it for a mixture of reasons."""
    other = file(tmp_path, ct(instance="1.2.3.9"), instance="1.2.3.9")
    with read_only(service.home / "spool"):
        full = service.post(body(file(tmp_path), other))
        mixed = service.post(body(file(tmp_path), b"nothing"))
    after = service.post(body(file(tmp_path), other))

    assert (full.status_code, full.headers["retry-after"], failures(full)) == (503, "60", [0xA700, 0xA700])
    assert (mixed.status_code, "retry-after" in mixed.headers, failures(mixed)) == (409, False, [0xA700, 0xC000])
    assert after.status_code == 200


def test_associations_and_requests_share_their_places(service: Service, tmp_path: Path) -> None:
    """Where associations of the address have them all, a request is asked to come back, and the list says so."""
    taken = [service.seats.associate("127.0.0.1") for _ in range(20)]
    answer = service.post(body(file(tmp_path)))
    assert (answer.status_code, answer.headers["retry-after"], service.files()) == (503, "10", [])
    assert "intake.associations_per_address" in answer.text
    assert "intake.associations_per_address" in service.records()[0].why

    assert isinstance(taken[0], Seat)
    service.seats.leave(taken[0])
    for _ in range(2):  # and gives its place back
        assert service.post(body(file(tmp_path))).status_code == 200
    assert service.seats.count() == 19


def test_a_node_that_is_being_stopped_asks_to_come_back(service: Service, tmp_path: Path) -> None:
    """Also within a request: what was whole stays, what comes then is answered as in an association."""
    whole = body(file(tmp_path), file(tmp_path, ct(instance="1.2.3.9"), instance="1.2.3.9"))
    half = whole.index(f"--{BOUNDARY}".encode(), 10) + len(BOUNDARY) + 10

    def pieces() -> Iterator[bytes]:
        yield whole[:half]
        wait_for(service.files)
        service.stopping.set()
        yield whole[half:]

    begun = service.post(pieces())
    assert (begun.status_code, stored(begun), failures(begun)) == (202, [INSTANCE], [0xA700])

    answer = service.post(body(file(tmp_path)))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert len(service.files()) == 1


@pytest.mark.real("orthanc")
def test_orthanc_stores_a_study(service: Service, tmp_path: Path) -> None:
    files = ct_series(tmp_path / "ct", slices=5)
    server = {"Url": f"http://127.0.0.1:{service.port}/dicom-web/", "HttpHeaders": {"Authorization": f"Bearer {TOKEN}"}}
    more = {"DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": {"node": server}}}
    with running_orthanc(tmp_path / "orthanc", more=more) as orthanc:
        send_study(files, "127.0.0.1", orthanc.port, "CT", orthanc.ae_title)
        (study,) = orthanc.get("/studies")
        url = f"{orthanc.url}/dicom-web/servers/node/stow"
        answer = httpx.post(url, json={"Resources": [study], "Synchronous": True}, timeout=60)

    assert answer.status_code == 200, answer.text
    assert json.loads(answer.text)["InstancesCount"] == "5"
    assert {dcmread(path).SOPInstanceUID for path in service.files()} == {dcmread(one).SOPInstanceUID for one in files}


def test_many_at_once_are_asked_to_come_back(service: Service, tmp_path: Path) -> None:
    """The others go on."""
    slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(stow.REQUESTS)]
    for one in slow:
        one.sendall(f"{HEAD}Content-Length: 99999\r\n\r\n--frontier\r\n".encode())
    wait_for(lambda: len(service.records()) == stow.REQUESTS)
    busy = service.post(body(file(tmp_path))).status_code
    for one in slow:
        one.close()
    deadline = time.monotonic() + 20
    while (after := service.post(body(file(tmp_path))).status_code) == 503 and time.monotonic() < deadline:
        time.sleep(0.05)

    assert (busy, after) == (503, 200)


@pytest.mark.slow
def test_a_whole_node_takes_it_and_its_window_stays_what_it_is(tmp_path: Path) -> None:
    """On one port: peers by their token, people by their session."""
    (tmp_path / "token").write_text(TOKEN)
    peer = f'[[peer]]\nname = "web"\nae_title = "WEB"\nroles = ["source"]\ntoken_file = "{tmp_path / "token"}"\n'
    settings = {"intake.stow": "true", "intake.disk_reserve_mb": "1", "intake.refuse_associations_mb": "1"}
    with running_node(tmp_path / "node", peers=peer, routes="", settings=settings) as node:
        node.wait_until_ready()
        url = f"http://127.0.0.1:{node.admin_port}"
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": KIND}
        answer = httpx.post(f"{url}/dicom-web/studies", content=body(file(tmp_path)), headers=headers, timeout=60)
        live = httpx.get(f"{url}/live").status_code
        window = httpx.get(f"{url}/", follow_redirects=False).status_code
        for _ in node.until(20, "the study is not listed"):
            with node.ledger() as ledger, ledger.read() as connection:
                studies = connection.execute(schema.study.select()).all()
            if studies:
                break

    assert (answer.status_code, live, window) == (200, 200, 303)
    assert [one.calling_ae for one in studies] == ["WEB"]


def _memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)
