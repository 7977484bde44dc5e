"""A destination that wants to know it is told by an IOCM note which of its objects a newer run replaced."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import highdicom as hd
import pydicom
import pytest
from pydicom.dataset import Dataset

from ai.exchange import save_findings
from ai.findings import Findings
from node.actions import Operator
from node.core.job import DeliveryEvent, DeliveryState, Priority, Stage
from node.core.stacks import split_into_stacks
from node.errors import NotPossible
from node.jobs.rejections import Rejections
from node.jobs.renditions import forms_for
from node.jobs.runner import Runner, StageWork
from node.jobs.stages import Stages
from node.rehearsal.pacs import StandInPacs
from node.sending.courier import Courier
from node.sending.destination import Destination, Terms
from node.sending.senders import sender_to
from node.settings import JobsTable, Peer, SendingTable
from node.state import outbox, schema, work
from node.state.header import read_facts
from node.state.rows import DeliveryRow
from node.state.work import NewJob
from tests.conformance.test_result_objects import said
from tests.makers.ledger import Books, books
from tests.makers.orthanc import running_orthanc
from tests.unit.results.made import CARD, make_findings, make_series

KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"
RENDITIONS = ("seg", "sr", "text")


class Station:
    """A node's parts around one job, for one destination that wants to know what was replaced."""

    def __init__(self, found: Books, pacs: StandInPacs, **settings: object) -> None:
        self.books, self.pacs = found, pacs
        asked = {"renditions": RENDITIONS, "rejections": True, **settings}
        peer = Peer(name="pacs", ae_title="PACS", address="127.0.0.1", port=pacs.port, **asked)
        destination = Destination("pacs", "PACS", "127.0.0.1", pacs.port, "ISOCENTER", None, 5, 5, 5, 5)
        parts, models, peers = (
            (found.ledger, found.queue, found.home),
            {"m": SimpleNamespace(card=CARD)},
            {"pacs": peer},
        )
        self.stages = Stages(*parts, models, decode_memory_mb=512, peers=peers)
        self.rejections = Rejections(*parts, models, peers, found.clock)
        self.courier = Courier(
            found.ledger,
            found.queue,
            sender_to,
            home=found.home,
            destinations={"pacs": Terms(destination, forms_for(peer), is_told_of_replaced=peer.rejections)},
            settings=SendingTable(),
            clock=found.clock,
        )
        self.made = make_series(found.home / "images")
        facts = [read_facts(path) for path in self.made.paths.values()]
        for one, path in zip(facts, self.made.paths.values(), strict=True):
            found.arrive(one, path=str(path.relative_to(found.home)))
        (stack,) = split_into_stacks(facts)
        with found.ledger.write() as connection:
            study = connection.execute(schema.study.select()).one()
            key = "4a7f4d3e-6f0e-4c9e-9d67-0a1b2c3d4e5f"
            new = NewJob(
                "j1", key, study.id, "r", "m", "1", "d", "i", {"ct": stack}, ("pacs",), incomplete=False,
                priority=Priority.ROUTINE,
            )  # fmt: skip
            work.add_job(connection, new, found.clock())

    def run(self, number: int, findings: Findings | None = None) -> None:
        """The run of that number is made, where another went before on an operator's word."""
        found = findings or make_findings(self.made)
        infer = StageWork(lambda one: save_findings(found, one.folder), lambda _job: 60.0)
        runner = Runner(
            self.books.ledger, self.books.queue, home=self.books.home, executor="w", limits=JobsTable(),
            stages={**self.stages.of_worker(), Stage.INFER: infer}, clock=self.books.clock,
        )  # fmt: skip
        if number > 1:
            Operator(self.books.ledger, self.books.queue).again("j1", self.books.clock())
        for stage in Stage:
            with self.books.ledger.read() as connection:
                turn = work.get_job(connection, "j1").turn
            runner.run(stage, "j1", number, turn)

    def delivery(self, number: int) -> DeliveryRow:
        with self.books.ledger.read() as connection:
            (found,) = [one for one in outbox.deliveries_of(connection, "j1") if one.run == number]
            return found

    def change(self, number: int, happened: DeliveryEvent) -> None:
        """Something happens to a delivery."""
        with self.books.ledger.write() as connection:
            assert outbox.change_delivery(connection, self.delivery(number), happened, self.books.clock())

    def deliver(self, number: int) -> DeliveryRow:
        self.courier.deliver(self.delivery(number).id, self.delivery(number).attempt)
        return self.delivery(number)

    def arrived(self) -> list[Dataset]:
        return [pydicom.dcmread(one.path) for one in self.pacs.arrivals]

    def notes(self) -> list[Dataset]:
        return [one for one in self.arrived() if one.SOPClassUID == KEY_OBJECT]


def named(note: Dataset) -> set[str]:
    """What a note refers to, as another maker's reader finds it."""
    content = hd.ko.KeyObjectSelectionDocument.from_dataset(note).content
    return {str(item.referenced_sop_instance_uid) for item in content.get_references()}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    (tmp_path / "home").mkdir()
    with StandInPacs(tmp_path / "pacs") as pacs, books(tmp_path / "home") as found:
        yield Station(found, pacs)


def test_a_newer_run_names_what_it_replaced_once_it_has_arrived(station: Station) -> None:
    """All that was accepted of the run before and nothing else; asked twice, told once; nothing is sent twice."""
    station.run(1)
    station.deliver(1)
    station.rejections.make("j1", 1, 1)
    first = {str(one.SOPInstanceUID) for one in station.arrived()}
    station.run(2)
    too_early = station.rejections.make("j1", 2, 1)
    accepted = station.deliver(2)
    for _ in range(2):
        station.rejections.make("j1", 2, accepted.attempt)
    told = station.deliver(2)
    station.rejections.make("j1", 2, told.attempt)
    (note,) = station.notes()

    assert too_early is None
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
    assert named(note) == first
    assert (told.state, station.delivery(2).state) == (DeliveryState.ACCEPTED, DeliveryState.ACCEPTED)
    assert len(station.pacs.arrivals) == 2 * len(first) + 1
    assert (
        {one.SOPInstanceUID for one in station.arrived()}
        >= {
            item.ReferencedSOPInstanceUID
            for report in station.arrived()
            if "PredecessorDocumentsSequence" in report
            for series in report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence
            for item in series.ReferencedSOPSequence
        }
        != set()
    )


def test_a_third_run_names_the_second_alone(station: Station) -> None:
    """What was rejected once is not rejected again."""
    for number in (1, 2, 3):
        station.run(number)
        station.rejections.make("j1", number, station.deliver(number).attempt)
        station.deliver(number)
    first, second = station.notes()

    assert len(named(first)) == len(named(second)) == len(RENDITIONS)
    assert named(first).isdisjoint(named(second))
    assert first.SOPInstanceUID not in named(second)


def test_a_negative_is_sent_where_it_replaces_a_finding(tmp_path: Path) -> None:
    """Where the destination wants no negatives, silence would leave the old finding standing."""
    (tmp_path / "home").mkdir()
    with StandInPacs(tmp_path / "pacs") as pacs, books(tmp_path / "home") as found:
        station = Station(found, pacs, negatives=False)
        station.run(1)
        station.deliver(1)
        absent = make_findings(station.made, without=tuple(one.key for one in CARD.segments))
        station.run(2, absent)
        delivered = station.deliver(2)

    assert delivered.state is DeliveryState.ACCEPTED


def test_a_negative_is_sent_where_a_finding_is_just_being_sent(tmp_path: Path) -> None:
    """The destination will hold it in a moment."""
    (tmp_path / "home").mkdir()
    with StandInPacs(tmp_path / "pacs") as pacs, books(tmp_path / "home") as found:
        station = Station(found, pacs, negatives=False)
        station.run(1)
        station.change(1, DeliveryEvent.STARTED)
        station.run(2, make_findings(station.made, without=tuple(one.key for one in CARD.segments)))

        assert station.delivery(2).state is DeliveryState.WAITING


def test_what_was_replaced_while_it_was_being_sent_is_not_tried_again(station: Station) -> None:
    """It would come after the newer results, and be taken for the present ones."""
    station.run(1)
    station.change(1, DeliveryEvent.STARTED)
    station.run(2)
    station.change(1, DeliveryEvent.POSTPONED)
    dropped = station.deliver(1)

    assert (dropped.state, dropped.message) == (DeliveryState.DROPPED, "newer results go instead: job j1, run 2")
    assert station.pacs.arrivals == ()
    assert station.deliver(2).state is DeliveryState.ACCEPTED


def test_what_newer_results_replaced_is_not_sent_again_by_hand(station: Station) -> None:
    operator = Operator(station.books.ledger, station.books.queue)
    for number in (1, 2):
        station.run(number)
        station.deliver(number)
    with pytest.raises(NotPossible, match=r"newer results replaced these \(job j1, run 2\)"):
        operator.resend(station.delivery(1).id, station.books.clock())
    operator.resend(station.delivery(2).id, station.books.clock())

    assert station.delivery(1).state is DeliveryState.ACCEPTED
    assert station.delivery(2).state is DeliveryState.WAITING


def test_of_what_is_parked_that_which_newer_results_replaced_is_counted_and_stays(station: Station) -> None:
    station.run(1)
    station.change(1, DeliveryEvent.STARTED)
    station.run(2)
    station.change(1, DeliveryEvent.PARKED)
    for event in (DeliveryEvent.STARTED, DeliveryEvent.PARKED):
        station.change(2, event)
    resent = Operator(station.books.ledger, station.books.queue).resend_parked("pacs", station.books.clock())

    assert (resent.sent, resent.outdated) == (1, 1)
    assert station.delivery(1).state is DeliveryState.PARKED
    assert station.delivery(2).state is DeliveryState.WAITING


@pytest.mark.real("orthanc", "dcmtk", "dicom3tools")
def test_the_note_is_sound_and_an_archive_takes_it(station: Station, tmp_path: Path) -> None:
    for number in (1, 2):
        station.run(number)
        station.rejections.make("j1", number, station.deliver(number).attempt)
        station.deliver(number)
    (path,) = [one.path for one in station.pacs.arrivals if one.sop_class_uid == KEY_OBJECT]
    with running_orthanc(tmp_path / "orthanc") as pacs:
        said("dcmsend", "-nh", "127.0.0.1", str(pacs.port), path)
        held = [one["SeriesDescription"] for one in pacs.series()]

    assert [line for line in said("dciodvfy", "-new", path) if line.startswith("Error")] == []
    assert [line for line in said("dsrdump", path) if line.startswith(("E:", "F:"))] == []
    assert held == ["AI lung-ct replaced results"]
