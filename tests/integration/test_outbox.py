"""Results wait for days, arrive once, and their arrival is proven; time is turned by hand."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from node.actions import Operator
from node.core.job import DeliveryState, Priority
from node.core.pausable import Pausable
from node.jobs.engine import Engine, Work
from node.rehearsal.conduct import TEMPORARY_CONGESTION, Breach, Conduct
from node.rehearsal.modality import send_study
from node.rehearsal.pacs import StandInPacs
from node.rehearsal.running import free_ports
from node.state import schema
from node.state.bells import Bells
from tests.makers.ledger import START, Books, books
from tests.makers.orthanc import Orthanc, running_orthanc
from tests.makers.outgoing import KINDS, PATIENCE_S, Outgoing, move_study, terms

DAY = timedelta(days=1)
ROUTINE = Priority.ROUTINE


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Books]:
    (tmp_path / "home").mkdir()
    with books(tmp_path / "home") as made:
        yield made


def test_a_pacs_that_is_down_for_three_days_gets_exactly_one_copy(found: Books, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    outgoing = Outgoing(found, {"pacs": terms(port)})
    tried = outgoing.deliver_until(START + 3 * DAY)
    waits = [later - earlier for earlier, later in pairwise(tried)]
    while_down = outgoing.delivery()
    with StandInPacs(tmp_path / "pacs", port=port) as pacs:
        outgoing.deliver_until(START + 4 * DAY)
        arrived, requests = [one.sop_instance_uid for one in pacs.arrivals], pacs.store_requests

    assert waits[:4] == [timedelta(seconds=30 * 2**n) for n in range(4)]
    assert waits == sorted(waits)
    assert max(waits) == timedelta(hours=1)
    assert while_down.state is DeliveryState.WAITING
    assert "Nothing listens at 127.0.0.1" in while_down.message
    assert outgoing.delivery().state is DeliveryState.ACCEPTED
    assert len(arrived) == len(set(arrived)) == requests == len(KINDS)


def test_each_attempt_that_failed_leaves_the_next_one_queued(found: Books) -> None:
    outgoing = Outgoing(found, {"pacs": terms(1)})
    outgoing.deliver()

    assert outgoing.is_queued()


def test_after_a_week_a_person_is_asked_and_can_resend(found: Books, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    outgoing = Outgoing(found, {"pacs": terms(port)})
    outgoing.deliver_until(START + 8 * DAY)
    parked = outgoing.delivery()
    Operator(found.ledger, found.queue).resend(parked.id, found.clock())
    with StandInPacs(tmp_path / "pacs", port=port):
        sent = outgoing.deliver()

    assert parked.state is DeliveryState.PARKED
    assert parked.message.startswith("not delivered in 7 days")
    assert sent.state is DeliveryState.ACCEPTED


@pytest.mark.parametrize(
    ("conduct", "state", "words"),
    [
        (Conduct(status=0xA700), DeliveryState.WAITING, "free space there"),
        (Conduct(status=0xA900), DeliveryState.PARKED, "ask its vendor which check failed"),
        (Conduct(status=0xC000), DeliveryState.PARKED, "look into the log there"),
        (Conduct(status=0x0122), DeliveryState.PARKED, "enable its SOP class there"),
        (Conduct(status=0xB000), DeliveryState.ACCEPTED, "4 of 4 objects accepted"),
        (Conduct(status=0x1234), DeliveryState.PARKED, "look there whether the object arrived"),
        (Conduct(rejection=TEMPORARY_CONGESTION), DeliveryState.WAITING, "look into its load there"),
        (Conduct(breach=Breach.ABORT_AFTER_ASSOCIATION), DeliveryState.WAITING, "broke the association off"),
        (Conduct(breach=Breach.ABORT_DURING_STORE), DeliveryState.WAITING, "broke the association off"),
        (Conduct(breach=Breach.NO_ANSWER), DeliveryState.WAITING, "did not answer within 1 s"),
        (Conduct(accepts=("1.2.840.10008.1.1",)), DeliveryState.PARKED, "does not accept this kind of object"),
    ],
    ids=["A700", "A900", "C000", "0122", "B000", "unknown", "congested", "abort", "abort-during", "silent", "no-SEG"],
)
def test_what_a_pacs_answers_decides_and_says_what_to_change(
    found: Books, tmp_path: Path, conduct: Conduct, state: DeliveryState, words: str
) -> None:
    answer_s = 1.0 if conduct.breach is Breach.NO_ANSWER else PATIENCE_S
    with StandInPacs(tmp_path / "pacs", conduct=conduct) as pacs:
        delivery = Outgoing(found, {"pacs": terms(pacs.port, answer_s=answer_s)}).deliver()

    assert delivery.state is state
    assert words in delivery.message


def test_one_that_recovers_gets_what_it_lacked_and_nothing_twice(found: Books, tmp_path: Path) -> None:
    """The first two objects were taken, then the PACS was full."""
    with StandInPacs(tmp_path / "pacs") as pacs:
        outgoing = Outgoing(found, {"pacs": terms(pacs.port)})
        with found.ledger.write() as connection:
            for path in outgoing.files[:2]:
                (row,) = connection.execute(
                    schema.result.select().where(schema.result.c.path == str(path.relative_to(found.home)))
                )
                connection.execute(
                    schema.sent.insert().values(
                        delivery_id=outgoing.ids["pacs"], sop_uid=row.sop_uid, outcome="accepted", status=0, message="",
                        at=found.clock(),
                    )
                )  # fmt: skip
        outgoing.deliver()

        assert pacs.store_requests == 2
        assert outgoing.delivery().state is DeliveryState.ACCEPTED


def test_a_paused_destination_waits_and_goes_on(found: Books, tmp_path: Path) -> None:
    operator = Operator(found.ledger, found.queue)
    with StandInPacs(tmp_path / "pacs") as pacs:
        outgoing = Outgoing(found, {"pacs": terms(pacs.port)})
        operator.pause(Pausable.DESTINATION, "pacs", found.clock())
        waiting, asked = outgoing.deliver(), pacs.association_requests
        operator.resume(Pausable.DESTINATION, "pacs", found.clock())
        queued = outgoing.is_queued()
        sent = outgoing.deliver()

    assert (waiting.state, asked, queued) == (DeliveryState.WAITING, 0, True)
    assert sent.state is DeliveryState.ACCEPTED


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path / "orthanc", more={"DicomAlwaysAllowFind": True, "OverwriteInstances": False}) as one:
        yield one


@pytest.mark.real("orthanc")
def test_arrival_is_proven_by_asking_the_archive(found: Books, orthanc: Orthanc) -> None:
    outgoing = Outgoing(found, {"pacs": terms(orthanc.port, is_proof_due=True)})
    move_study(outgoing)
    accepted = outgoing.deliver()
    queued = outgoing.is_queued()
    found.clock.forward(seconds=6)
    proven = outgoing.deliver()

    assert (accepted.state, queued) == (DeliveryState.ACCEPTED, True)
    assert (proven.state, proven.message) == (DeliveryState.PROVEN, "4 objects are listed there")


@pytest.mark.real("orthanc")
def test_what_an_archive_lost_is_sent_again_once_and_then_a_person_must_look(found: Books, orthanc: Orthanc) -> None:
    """It accepts, and forgets: looked for during ten minutes, sent again, looked for again, parked."""
    import httpx

    def lose() -> None:
        for one in orthanc.get("/instances")[:1]:
            httpx.delete(f"{orthanc.url}/instances/{one}").raise_for_status()

    outgoing = Outgoing(found, {"pacs": terms(orthanc.port, is_proof_due=True)})
    move_study(outgoing)
    outgoing.deliver()
    lose()
    states = []
    while outgoing.delivery().next_at is not None:
        found.clock.at = max(outgoing.delivery().next_at, found.clock.at)
        before = len(orthanc.get("/instances"))
        states.append(outgoing.deliver().state)
        if len(orthanc.get("/instances")) > before:
            lose()
    last = outgoing.delivery()

    assert last.state is DeliveryState.PARKED
    assert "1 of 4 objects are not listed there, though it accepted them, 2 times" in last.message
    assert outgoing.history().count("delivery-accepted") == 2
    assert DeliveryState.WAITING in states


@pytest.mark.real("orthanc")
@pytest.mark.parametrize("patient", ["", "P2"])
def test_the_patient_is_compared_before_anything_is_sent(found: Books, orthanc: Orthanc, patient: str) -> None:
    """The archive corrected the patient meanwhile: nothing goes there until a person has decided."""
    from pydicom import dcmread

    outgoing = Outgoing(found, {"pacs": terms(orthanc.port, is_patient_checked=True)})
    study_uid = move_study(outgoing)
    image = dcmread(outgoing.files[0])
    image.PatientID, image.StudyInstanceUID, image.AccessionNumber = patient or image.PatientID, study_uid, ""
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    image.save_as(found.home / "theirs.dcm")
    send_study([found.home / "theirs.dcm"], "127.0.0.1", orthanc.port, "CT", orthanc.ae_title)
    delivery = outgoing.deliver()

    if not patient:
        assert delivery.state is DeliveryState.ACCEPTED
    else:
        assert delivery.state is DeliveryState.PARKED
        assert "pacs has another patient for this study" in delivery.message
        assert "P2" not in delivery.message
        assert len(orthanc.get("/instances")) == 1


def test_a_destination_that_hangs_delays_no_other(found: Books, tmp_path: Path) -> None:
    """Each has a line of its own: the others have theirs within five seconds."""
    with ExitStack() as hanging, StandInPacs(tmp_path / "two") as quick:
        slow = hanging.enter_context(StandInPacs(tmp_path / "one", conduct=Conduct(breach=Breach.NO_ANSWER)))
        both = {"slow": terms(slow.port, name="slow"), "quick": terms(quick.port, name="quick")}
        outgoing = Outgoing(found, both)
        work = Work(stages={}, deliver=outgoing.courier.deliver)
        engine = Engine(found.url, executor="s", work=work, poll_s=0.1, bells=Bells(found.home))
        engine.start()
        with found.ledger.write() as connection:
            found.queue.delivery(connection, outgoing.ids["slow"], destination="slow", attempt=1, priority=ROUTINE)
        slow.wait_for(lambda: slow.store_requests == 1, 20)
        with found.ledger.write() as connection:
            found.queue.delivery(connection, outgoing.ids["quick"], destination="quick", attempt=1, priority=ROUTINE)
        quick.wait_for(lambda: len(quick.arrivals) == len(KINDS), 5)
        still = outgoing.delivery("slow").state
        hanging.close()
        engine.stop(10)

    assert still is DeliveryState.SENDING
