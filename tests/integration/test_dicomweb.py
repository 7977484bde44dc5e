"""Results to DICOMweb servers: a real one with TLS and a password, and ones that do whatever they like."""

import logging
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.actions import Operator
from node.core.job import DeliveryState
from node.rehearsal.modality import send_study
from node.sending.destination import WebAddress
from node.sending.dicomweb import StowSender
from node.service.destinations import destination_of
from node.settings import NodeSettings, Peer
from tests.makers import hostile_web as web
from tests.makers.certificates import Authority
from tests.makers.gateway import tls_gateway
from tests.makers.ledger import Books, books
from tests.makers.orthanc import Orthanc, running_orthanc
from tests.makers.outgoing import KINDS, PATIENCE_S, Outgoing, move_study, web_terms

GIVEN_UP_WITHIN_S = 15.0
"""Far above the one second of every wait, for a busy machine, and far below any default."""
MOST_MEMORY = 8 << 20
TOKEN = "PACS_TOKEN"  # noqa: S105  the name of a variable


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Books]:
    (tmp_path / "home").mkdir()
    with books(tmp_path / "home") as made:
        yield made


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path / "orthanc", more={"OverwriteInstances": False}) as one:
        yield one


@pytest.mark.real("orthanc")
def test_results_are_stored_by_stow_and_proven_by_qido(found: Books, orthanc: Orthanc) -> None:
    outgoing = Outgoing(found, {"pacs": web_terms(f"{orthanc.url}/dicom-web", is_proof_due=True)})
    move_study(outgoing)
    accepted = outgoing.deliver()
    found.clock.forward(seconds=6)
    proven = outgoing.deliver()

    assert (accepted.state, accepted.message) == (DeliveryState.ACCEPTED, "4 of 4 objects accepted")
    assert (proven.state, proven.message) == (DeliveryState.PROVEN, "4 objects are listed there")
    assert sum(int(one["Instances"]) for one in orthanc.series()) == len(KINDS)


@pytest.mark.real("orthanc")
def test_a_resend_makes_no_second_copy(found: Books, orthanc: Orthanc) -> None:
    outgoing = Outgoing(found, {"pacs": web_terms(f"{orthanc.url}/dicom-web")})
    outgoing.deliver()
    Operator(found.ledger, found.queue).resend(outgoing.ids["pacs"], found.clock())
    again = outgoing.deliver()

    assert (again.state, again.message) == (DeliveryState.ACCEPTED, "4 of 4 objects accepted")
    assert len(orthanc.get("/instances")) == len(KINDS)


@pytest.mark.real("orthanc")
def test_what_the_server_lost_is_sent_again(found: Books, orthanc: Orthanc) -> None:
    import httpx

    outgoing = Outgoing(found, {"pacs": web_terms(f"{orthanc.url}/dicom-web", is_proof_due=True)})
    move_study(outgoing)
    outgoing.deliver()
    httpx.delete(f"{orthanc.url}/instances/{orthanc.get('/instances')[0]}").raise_for_status()
    while outgoing.delivery().next_at is not None:
        found.clock.at = max(outgoing.delivery().next_at, found.clock.at)
        outgoing.deliver()

    assert outgoing.delivery().state is DeliveryState.PROVEN
    assert len(orthanc.get("/instances")) == len(KINDS)


@pytest.mark.real("orthanc")
@pytest.mark.parametrize("patient", ["", "P2"])
def test_the_patient_is_compared_by_qido_before_anything_is_sent(found: Books, orthanc: Orthanc, patient: str) -> None:
    from pydicom import dcmread

    terms = web_terms(f"{orthanc.url}/dicom-web", is_patient_checked=True)
    outgoing = Outgoing(found, {"pacs": terms})
    image = dcmread(outgoing.files[0])
    image.PatientID, image.StudyInstanceUID = patient or image.PatientID, move_study(outgoing)
    image.AccessionNumber = ""
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    image.save_as(found.home / "theirs.dcm")
    send_study([found.home / "theirs.dcm"], "127.0.0.1", orthanc.port, "CT", orthanc.ae_title)
    delivery = outgoing.deliver()

    if not patient:
        assert delivery.state is DeliveryState.ACCEPTED
    else:
        assert delivery.state is DeliveryState.PARKED
        assert "pacs has another patient for this study" in delivery.message
        assert len(orthanc.get("/instances")) == 1


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An Orthanc that wants a password behind a gateway that speaks TLS: its URL, and the authority of its certificate.

    Not Orthanc's own TLS: Debian's 1.10.1 dies at the first request over it.
    """
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "authority")
    signed = authority.sign("/CN=pacs", names="IP:127.0.0.1")
    more: dict[str, object] = {"AuthenticationEnabled": True, "RegisteredUsers": {"isocenter": "s3cret-Word"}}
    with (
        running_orthanc(folder / "orthanc", more=more) as one,
        tls_gateway(signed.certificate, signed.key, int(one.url.rpartition(":")[2])) as port,
    ):
        yield f"https://127.0.0.1:{port}/dicom-web", authority.certificate


@pytest.mark.real("orthanc")
@pytest.mark.parametrize(
    ("secret", "trusts", "state", "words"),
    [
        ("s3cret-Word", True, DeliveryState.ACCEPTED, "4 of 4 objects accepted"),
        ("wrong-Word", True, DeliveryState.WAITING, "does not know who we are"),
        ("s3cret-Word", False, DeliveryState.WAITING, "TLS with pacs failed"),
        ("", True, DeliveryState.WAITING, "The secret for pacs cannot be read"),
    ],
)
def test_a_server_with_tls_and_a_password(
    found: Books,
    secured: tuple[str, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    secret: str,
    trusts: bool,
    state: DeliveryState,
    words: str,
) -> None:
    """The secret is used, and in no log and no message."""
    url, authority = secured
    caplog.set_level(logging.DEBUG)
    (tmp_path / "secret").write_text(secret + "\n")
    peer = Peer(
        name="pacs",
        ae_title="PACS",
        url=url,
        web_authorities=str(authority) if trusts else "",
        web_user="isocenter",
        web_secret_file=str(tmp_path / "secret"),
    )
    to = destination_of(peer, NodeSettings())
    delivery = Outgoing(found, {"pacs": web_terms(url, web=to.web)}).deliver()
    told = caplog.text + "".join(capfd.readouterr()) + delivery.message

    assert (delivery.state, words in delivery.message) == (state, True), delivery.message
    assert not secret or secret not in told
    assert "aXNvY2VudGVy" not in told  # the user, as Basic authentication writes it


def test_a_token_from_the_environment_is_sent_and_read_anew(found: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []

    def conduct(connection: object) -> None:
        while True:
            heard.append(web.read_request(connection))
            connection.sendall(b"HTTP/1.1 503 later\r\nContent-Length: 0\r\n\r\n")

    with web.hostile_server(conduct) as url:
        outgoing = Outgoing(found, {"pacs": web_terms(url, web=WebAddress(url, secret_env=TOKEN))})
        for token in ("first", "second"):
            monkeypatch.setenv(TOKEN, token)
            assert outgoing.deliver().state is DeliveryState.WAITING

    assert [b"Authorization: Bearer " + one in text for one, text in zip((b"first", b"second"), heard, strict=True)]


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n"


@pytest.mark.parametrize(
    ("conduct", "state", "words"),
    [
        (web.never_reads, DeliveryState.WAITING, "did not answer it within 1 s"),
        (web.never_answers, DeliveryState.WAITING, "did not answer it within 1 s"),
        (web.drips(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), DeliveryState.WAITING, "did not answer it within 1 s"),
        (web.drips(OK + b"\r\n", b" "), DeliveryState.WAITING, "did not answer it within 1 s"),
        (web.drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), DeliveryState.WAITING, "did not answer it within 1 s"),
        (web.floods(OK + b"X-A: ", b"a" * 65536), DeliveryState.WAITING, "is not HTTP"),
        (web.floods(OK + b"\r\n", b" " * 65536), DeliveryState.WAITING, "far more than there is to say"),
        (web.closes_after(b""), DeliveryState.WAITING, "closed the connection without an answer"),
        (web.closes_after(b"HTTP/1.1 200 O"), DeliveryState.WAITING, "closed the connection without an answer"),
        (web.closes_after(OK + b"Content-Length: 9\r\n\r\n{"), DeliveryState.WAITING, "closed the connection"),
        (web.resets, DeliveryState.WAITING, "closed the connection without an answer"),
        (web.closes_after(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), DeliveryState.WAITING, "is not HTTP"),
        (
            web.closes_after(OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
            DeliveryState.WAITING,
            "is not HTTP",
        ),
        (
            web.closes_after(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nLog in"),
            DeliveryState.PARKED,
            "in words that are not DICOM's",
        ),
        (web.answering(b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n"), DeliveryState.PARKED, "and not which"),
        (web.answering(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n"), DeliveryState.PARKED, "too large"),
        (web.answering(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"), DeliveryState.WAITING, "gateway"),
    ],
    ids=[
        "never-reads", "never-answers", "drips-headers", "drips-body", "drips-100", "floods-headers", "floods-body",
        "closes", "half-a-line", "half-a-body", "resets", "not-http", "gzip", "login-page", "409", "413", "503",
    ],
)  # fmt: skip
def test_a_hostile_server_costs_neither_time_nor_memory(
    found: Books, conduct: web.Conduct, state: DeliveryState, words: str
) -> None:
    answer_s = 1.0 if "within 1 s" in words else PATIENCE_S
    with web.hostile_server(conduct) as url:
        outgoing = Outgoing(found, {"pacs": web_terms(url, answer_s=answer_s)})
        tracemalloc.start()
        began = time.monotonic()
        delivery = outgoing.deliver()
        took_s, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert (delivery.state, words in delivery.message) == (state, True), delivery.message
    assert took_s < GIVEN_UP_WITHIN_S
    assert peak < MOST_MEMORY


def test_a_redirect_is_not_followed(found: Books) -> None:
    """Images and credentials go to the configured address and nowhere else."""
    heard: list[bytes] = []
    with web.hostile_server(lambda connection: heard.append(web.read_request(connection))) as elsewhere:
        answer = f"HTTP/1.1 307 There\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
        with web.hostile_server(web.answering(answer)) as url:
            delivery = Outgoing(found, {"pacs": web_terms(url)}).deliver()

    assert delivery.state is DeliveryState.PARKED
    assert "correct its url here" in delivery.message
    assert heard == []


def test_a_server_that_is_down_is_tried_again_later(found: Books) -> None:
    outgoing = Outgoing(found, {"pacs": web_terms("http://127.0.0.1:1/dicom-web")})
    delivery = outgoing.deliver()

    assert delivery.state is DeliveryState.WAITING
    assert "Nothing answers at http://127.0.0.1:1/dicom-web" in delivery.message
    assert outgoing.is_queued()


def test_a_name_that_nobody_knows(found: Books) -> None:
    delivery = Outgoing(found, {"pacs": web_terms("http://no-such-host.invalid/")}).deliver()

    assert delivery.state is DeliveryState.WAITING
    assert "is not known" in delivery.message


@pytest.mark.real("orthanc")
def test_a_sign_of_life_is_asked_for_by_qido(orthanc: Orthanc) -> None:
    sender = StowSender()
    alive = sender.echo(web_terms(f"{orthanc.url}/dicom-web").destination)
    astray = sender.echo(web_terms(f"{orthanc.url}/elsewhere").destination)

    assert (alive.ok, alive.text) == (True, "pacs answered QIDO-RS.")
    assert not astray.ok


def test_only_what_was_asked_for_and_fits_can_be_sent_a_second_time(found: Books) -> None:
    """A server that takes every other object gets the rest alone at the next attempt."""
    answers = iter([b"200 OK", b"500 No"] * 2 + [b"200 OK"] * 9)
    requests: list[bytes] = []

    def conduct(connection: object) -> None:
        while True:
            requests.append(web.read_request(connection))
            connection.sendall(b"HTTP/1.1 " + next(answers) + b"\r\nContent-Length: 0\r\n\r\n")

    with web.hostile_server(conduct) as url:
        outgoing = Outgoing(found, {"pacs": web_terms(url)})
        first, second = outgoing.deliver(), outgoing.deliver()

    assert (first.state, first.message[:23]) == (DeliveryState.WAITING, "2 of 4 objects accepted")
    assert second.state is DeliveryState.ACCEPTED
    assert len(requests) == len(KINDS) + 2
