"""A destination that refuses label maps gets the same run with a binary segmentation, and never two of them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from ai.exchange import save_findings
from node.core.forms import LABEL_MAP
from node.core.job import DeliveryState, Priority, Stage
from node.core.stacks import split_into_stacks
from node.jobs.renditions import forms_for
from node.jobs.replacement import Replacement
from node.jobs.runner import Runner, StageWork
from node.jobs.stages import Stages
from node.rehearsal.conduct import Conduct
from node.rehearsal.pacs import StandInPacs
from node.sending.courier import Courier
from node.sending.destination import Destination, Terms
from node.sending.senders import sender_to
from node.service.survey import Survey
from node.settings import JobsTable, Peer, SendingTable
from node.state import outbox, schema, taken, work
from node.state.header import read_facts
from node.state.rows import DeliveryRow, NewJob
from tests.makers.ledger import Books, books, is_live
from tests.unit.results.made import CARD, make_findings, make_series

BINARY_SEG = "1.2.840.10008.5.1.4.1.1.66.4"
WITHOUT_LABEL_MAPS = (
    BINARY_SEG,
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.7",
)


class Station:
    """A node's parts around one run whose masks are disjoint, for one destination that may choose."""

    def __init__(self, found: Books, pacs: StandInPacs, **settings: object) -> None:
        self.books, self.pacs = found, pacs
        asked = {"segmentation": "auto", **settings}
        peer = Peer(name="pacs", ae_title="PACS", address="127.0.0.1", port=pacs.port, **asked)
        self.destination = Destination("pacs", "PACS", "127.0.0.1", pacs.port, "ISOCENTER", None, 5, 5, 5, 5)
        parts = found.ledger, found.queue, found.home
        peers = {"pacs": peer}
        self.stages = Stages(*parts, {"m": SimpleNamespace(card=CARD)}, decode_memory_mb=512, peers=peers)
        self.replacement = Replacement(*parts, self.stages, peers, found.clock)
        self.survey = Survey(found.ledger, {"pacs": self.destination}, found.clock)
        self.courier = Courier(
            found.ledger,
            found.queue,
            sender_to,
            home=found.home,
            destinations={"pacs": Terms(self.destination, forms_for(peer))},
            settings=SendingTable(),
            clock=found.clock,
        )

    def run(self) -> None:
        """A chest CT arrives and is analysed."""
        made = make_series(self.books.home / "images")
        findings = make_findings(made, without=("low-attenuation",))
        facts = []
        for path in made.paths.values():
            one = read_facts(path)
            self.books.arrive(one, path=str(path.relative_to(self.books.home)))
            facts.append(one)
        (stack,) = split_into_stacks(facts)
        with self.books.ledger.write() as connection:
            study = connection.execute(schema.study.select()).one()
            inputs, key = {"ct": stack}, "4a7f4d3e-6f0e-4c9e-9d67-0a1b2c3d4e5f"
            new = NewJob(
                "j1", key, study.id, "r", "m", "1", "d", "i", inputs, ("pacs",), incomplete=False,
                priority=Priority.ROUTINE,
            )  # fmt: skip
            work.add_job(connection, new, self.books.clock())
        infer = StageWork(lambda one: save_findings(findings, one.folder), lambda _job: 60.0)
        runner = Runner(
            self.books.ledger, self.books.queue, home=self.books.home, executor="w", limits=JobsTable(),
            stages={**self.stages.of_worker(), Stage.INFER: infer}, clock=self.books.clock,
        )  # fmt: skip
        for stage in Stage:
            runner.run(stage, "j1", 1, 1)

    def delivery(self) -> DeliveryRow:
        with self.books.ledger.read() as connection:
            (found,) = outbox.deliveries_of(connection, "j1")
            return found

    def deliver(self) -> DeliveryRow:
        self.courier.deliver(self.delivery().id, self.delivery().attempt)
        return self.delivery()

    def is_replacing(self) -> bool:
        """Whether a worker has been asked for another form."""
        found = self.delivery()
        return is_live(self.books.queue, f"{found.id}:replace:{found.attempt - 1}")

    def label_maps_taken(self) -> bool | None:
        with self.books.ledger.read() as connection:
            return taken.is_taken(connection, "pacs", LABEL_MAP)

    def arrived(self) -> Counter[str]:
        return Counter(one.sop_class_uid for one in self.pacs.arrivals)


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Books]:
    (tmp_path / "home").mkdir()
    with books(tmp_path / "home") as made:
        yield made


@pytest.mark.parametrize("accepts", [None, WITHOUT_LABEL_MAPS])
def test_what_a_destination_takes_decides_what_is_encoded(
    found: Books, tmp_path: Path, accepts: tuple[str, ...] | None
) -> None:
    with StandInPacs(tmp_path / "pacs", conduct=Conduct(accepts=accepts)) as pacs:
        station = Station(found, pacs)
        station.survey.look()
        station.run()
        delivery = station.deliver()

        assert delivery.state is DeliveryState.ACCEPTED
        assert station.arrived()[LABEL_MAP if accepts is None else BINARY_SEG] == 1
        assert station.arrived()[BINARY_SEG if accepts is None else LABEL_MAP] == 0


def test_a_run_of_which_a_destination_can_take_nothing_goes_to_a_person(found: Books, tmp_path: Path) -> None:
    """It wants the segmentation alone, which is larger than it takes: the run ends, and its history says why."""
    with StandInPacs(tmp_path / "pacs") as pacs:
        station = Station(found, pacs, renditions=("seg",), largest_seg_mb=0.01)
        station.run()
        delivery = station.deliver()
    with found.ledger.read() as connection:
        (told,) = connection.execute(sa.select(schema.event).where(schema.event.c.name == "segmentation-left-out"))

    assert delivery.state is DeliveryState.PARKED
    assert told.message == "larger than the 0.01 MB that a destination takes"


def test_one_that_was_never_asked_gets_a_binary_one(found: Books, tmp_path: Path) -> None:
    with StandInPacs(tmp_path / "pacs") as pacs:
        station = Station(found, pacs)
        station.run()
        station.deliver()

        assert station.arrived()[BINARY_SEG] == 1


REFUSALS = [
    Conduct(accepts=WITHOUT_LABEL_MAPS),
    Conduct(status_of={LABEL_MAP: 0x0122}),
    Conduct(status_of={LABEL_MAP: 0xA900}),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["negotiation", "0122", "A900"])
def test_a_label_map_that_is_refused_is_replaced_before_anything_else_goes(
    found: Books, tmp_path: Path, refusal: Conduct
) -> None:
    """The courier asks for the other form and sends nothing; a worker encodes it; the same delivery goes on with it."""
    with StandInPacs(tmp_path / "pacs") as pacs:
        station = Station(found, pacs)
        station.survey.look()
        station.run()
        pacs.conduct = refusal
        waiting, replacing, nothing = station.deliver(), station.is_replacing(), station.arrived()
        station.replacement.make("j1", 1, waiting.attempt)
        station.replacement.make("j1", 1, waiting.attempt)  # doing so twice changes nothing
        accepted = station.deliver()

        assert (waiting.state, replacing, nothing.total()) == (DeliveryState.WAITING, True, 0)
        assert "pacs takes no label maps" in waiting.message
        assert station.label_maps_taken() is False
        assert accepted.state is DeliveryState.ACCEPTED
        assert (station.arrived()[BINARY_SEG], station.arrived()[LABEL_MAP]) == (1, 0)
        assert station.arrived()["1.2.840.10008.5.1.4.1.1.88.33"] == 1
        assert len(list((found.home / "work/j1/1").glob("images-*"))) == 0


def test_what_was_begun_with_a_label_map_is_never_gone_on_with_in_another_form(found: Books, tmp_path: Path) -> None:
    """The archive took the label map, failed at the report, and refuses label maps from then on."""
    report = "1.2.840.10008.5.1.4.1.1.88.33"
    with StandInPacs(tmp_path / "pacs", conduct=Conduct(status_of={report: 0xA700})) as pacs:
        station = Station(found, pacs)
        station.survey.look()
        station.run()
        station.deliver()
        pacs.conduct = Conduct(accepts=WITHOUT_LABEL_MAPS)
        with found.ledger.write() as connection:
            taken.record_taken(connection, "pacs", {LABEL_MAP: False}, found.clock())
        accepted = station.deliver()

        assert accepted.state is DeliveryState.ACCEPTED
        assert (station.arrived()[BINARY_SEG], station.arrived()[LABEL_MAP], station.arrived()[report]) == (0, 1, 1)


def test_one_whose_images_are_gone_says_so_and_is_tried_again(found: Books, tmp_path: Path) -> None:
    with StandInPacs(tmp_path / "pacs") as pacs:
        station = Station(found, pacs)
        station.survey.look()
        station.run()
        pacs.conduct = REFUSALS[0]
        station.deliver()
        for path in (found.home / "images").glob("*"):
            path.unlink()
        station.replacement.make("j1", 1, 1)
        with found.ledger.read() as connection:
            events = [row.name for row in connection.execute(schema.event.select())]

        assert "replacement-not-made" in events
        assert station.delivery().state is DeliveryState.WAITING
        assert station.arrived().total() == 0
