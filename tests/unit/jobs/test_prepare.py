"""Studies that lie, are broken or break their decoder: each ends with its reason, and the next one is prepared."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from ai.contract import InputCard, ModelCard
from ai.device import Device
from node.core.job import JobState, Priority, Stage
from node.core.stacks import split_into_stacks
from node.errors import IsocenterError, ReasonCode
from node.jobs import stages
from node.jobs.confined import run_confined
from node.jobs.inference import Inference
from node.jobs.notices import Notices
from node.jobs.predicting import Predicting
from node.jobs.runner import Assignment, Runner, StageWork
from node.jobs.stages import Stages
from node.settings import JobsTable, Peer, Route
from node.state import schema, work
from node.state.header import read_facts
from node.state.rows import JobRow, NewJob
from tests.makers import misbehaving
from tests.makers.ledger import START, Books, books
from tests.makers.series import ct_series

MEMORY_MB = 256
INPUT = InputCard("ct", ("CT",), ("axial",), 2, None, None, None, None)
CARD = ModelCard("m", "1", "v", "t", "u", (), "l", 1, 1, (INPUT,), "ct", (), (), "digest")


class Station:
    """A home with its ledger, and the runner of a CPU worker in it."""

    def __init__(self, found: Books, least: dict[str, float] | None = None) -> None:
        self.books = found
        made = Stages(
            found.ledger,
            found.queue,
            found.home,
            {"m": SimpleNamespace(card=CARD)},
            decode_memory_mb=MEMORY_MB,
            routes={
                "r": Route(name="r", model="m", destinations=("pacs",), input={"ct": {"min_quality": least or {}}})
            },
        )
        self.prepare = made.of_worker()[Stage.PREPARE]

    def receive(self, name: str, change: Callable[[Dataset, int], None] | None = None) -> str:
        """A CT study arrives and becomes a job; returns the job's id."""
        folder = self.books.home / name
        facts = []
        for number, path in enumerate(ct_series(folder, study=name)):
            if change is not None:
                image = dcmread(path)
                change(image, number)
                image.save_as(path)
            one = read_facts(path)
            place = self.books.home / f"spool/instances/{one.study_uid}/{one.sop_instance_uid}.dcm"
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
            self.books.arrive(one)
            facts.append(one)
        (stack,) = split_into_stacks(facts)
        with self.books.ledger.write() as connection:
            row = connection.execute(schema.study.select().where(schema.study.c.study_uid == facts[0].study_uid)).one()
            new = NewJob(
                name, name, row.id, "r", "m", "1", "d", "i", {"ct": stack}, (), incomplete=False,
                priority=Priority.ROUTINE,
            )  # fmt: skip
            work.add_job(connection, new, START)
        return name

    def run(self, job_id: str, do: Callable[[], None] | None = None) -> JobRow:
        """Prepare the job until it needs no further try; `do` takes the place of reading."""
        stage = self.prepare if do is None else StageWork(lambda _assignment: do(), lambda _job: 60.0)
        runner = Runner(
            self.books.ledger, self.books.queue, home=self.books.home, executor="w", limits=JobsTable(),
            stages={Stage.PREPARE: stage}, clock=self.books.clock,
        )  # fmt: skip
        while (job := self.job(job_id)).state is JobState.QUEUED:
            runner.run(Stage.PREPARE, job_id, 1, job.turn)
        return job

    def job(self, job_id: str) -> JobRow:
        with self.books.ledger.read() as connection:
            return work.get_job(connection, job_id)

    def outcomes(self) -> list[str]:
        with self.books.ledger.read() as connection:
            return [row.outcome for row in connection.execute(schema.attempt.select().order_by(schema.attempt.c.id))]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with books(tmp_path) as found:
        yield Station(found)


def garbage_codestream(image: Dataset, _number: int) -> None:
    image.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
    image.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(range(256)) + b"\xff\xd9"])
    image["PixelData"].is_undefined_length = True


def frames_that_no_worker_reads(image: Dataset, _number: int) -> None:
    image.Rows = image.Columns = 0xFFFF


def more_pixels_than_there_is_memory(image: Dataset, _number: int) -> None:
    image.Rows = image.Columns = 8192


def fewer_bytes_than_pixels(image: Dataset, _number: int) -> None:
    image.Rows = 4096


def deflated_zeros(image: Dataset, number: int) -> None:
    """An eighth of a gigabyte of pixels in an eighth of a megabyte."""
    image.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    image.PixelData = bytes(1 << 27) if number == 0 else image.PixelData


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (garbage_codestream, "undecodable"),
        (frames_that_no_worker_reads, "out-of-memory"),
        (more_pixels_than_there_is_memory, "out-of-memory"),
        (fewer_bytes_than_pixels, "undecodable"),
        (deflated_zeros, "undecodable"),
    ],
)
def test_a_study_that_lies_is_refused_with_its_reason_and_the_next_one_is_prepared(
    station: Station, change: Callable[[Dataset, int], None], reason: str
) -> None:
    bad, good = station.receive("bad", change), station.receive("good")
    jobs = station.run(bad), station.run(good)

    assert [(job.state, job.reason) for job in jobs] == [(JobState.REFUSED, reason), (JobState.PREPARED, None)]


def test_a_decoder_that_crashes_costs_this_job_its_attempts_and_no_other(station: Station) -> None:
    bad, good = station.receive("bad"), station.receive("good")

    def crash() -> None:
        run_confined(misbehaving.crash, (), memory_mb=MEMORY_MB, timeout_s=30)

    jobs = station.run(bad, crash), station.run(good)

    assert [(job.state, job.reason) for job in jobs] == [(JobState.FAILED, "undecodable"), (JobState.PREPARED, None)]
    assert jobs[0].message == "reading the images ended its process (SIGSEGV) (the process died 5 times in this stage)"
    assert station.outcomes() == ["crashed"] * 5 + ["done"]


@pytest.mark.parametrize(
    ("misbehaviour", "timeout_s", "reason"),
    [(misbehaving.hang, 0.5, "timeout"), (misbehaving.be_killed, 60.0, "out-of-memory")],
)
def test_a_hang_and_a_kill_for_want_of_memory_are_told_apart(
    station: Station, misbehaviour: Callable[[], None], timeout_s: float, reason: str
) -> None:
    def misbehave() -> None:
        run_confined(misbehaviour, (), memory_mb=MEMORY_MB, timeout_s=timeout_s)

    job = station.run(station.receive("bad"), misbehave)

    assert (job.state, job.reason) == (JobState.FAILED, reason)
    assert station.outcomes() == ["error"] * 3


def test_a_model_that_is_gone_is_named_and_what_to_do(station: Station) -> None:
    """Removed, or with a card that cannot be used, while jobs for it waited; the notice of that is not made either."""
    job_id = station.receive("six slices")
    parts = station.books.ledger, station.books.queue, station.books.home, {}
    station.prepare = Stages(*parts, decode_memory_mb=MEMORY_MB).of_worker()[Stage.PREPARE]
    with station.books.ledger.write() as connection:
        connection.execute(schema.job.update().values(destinations='["pacs"]'))
    job = station.run(job_id)
    peer = Peer(name="pacs", ae_title="PACS", address="127.0.0.1", port=104, failures=True)
    Notices(*parts, {"pacs": peer}, station.books.clock).announce(job_id)

    assert job.state is JobState.FAILED
    assert job.message.startswith("model m is not installed here any more")


@pytest.mark.parametrize("how", ["purged", "lost"])
def test_images_that_are_gone_are_told_as_such(station: Station, how: str) -> None:
    """A job that is run again once the images' time is over, or after the disk lost one: no fault of model or node."""
    job_id = station.receive("six slices")
    if how == "purged":
        with station.books.ledger.write() as connection:
            connection.execute(schema.instance.update().values(path=None))
    else:
        next((station.books.home / "spool").rglob("*.dcm")).unlink()
    job = station.run(job_id)

    assert job.state is JobState.FAILED
    assert f"images of job {job_id} are no longer here" in job.message


@pytest.mark.parametrize("stage", [Stage.INFER, Stage.ENCODE])
def test_a_volume_that_is_gone_is_told_as_such(station: Station, stage: Stage) -> None:
    """A job that failed after it was prepared is retried once its images' time is over."""
    model, found = SimpleNamespace(card=CARD), station.books
    warm = Inference({"m": model}, Device())
    made = Stages(found.ledger, found.queue, found.home, {"m": model}, decode_memory_mb=MEMORY_MB)
    job, gone = SimpleNamespace(id="j1", model="m", destinations=()), found.home / "gone"
    assignment = Assignment(job, found.clock(), gone, gone, found.home / "new")

    with pytest.raises(IsocenterError, match="the images of job j1 are no longer here"):
        {**Predicting({"m": model}, warm).of_model(), **made.of_worker()}[stage].do(assignment)
    warm.close()


def test_more_slices_get_more_time(station: Station) -> None:
    job_id = station.receive("six slices")
    with station.books.ledger.read() as connection:
        inputs = work.inputs_of(connection, job_id)

    assert stages.reading_limit_s(inputs) == stages.READING_S + 6 * stages.READING_S_PER_SLICE


def test_the_quality_of_the_images_is_kept_and_what_the_route_asks_for_is_required(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "poor").mkdir()
    with books(tmp_path / "good") as found:
        good = Station(found)
        job = good.run(good.receive("good"))
        with found.ledger.read() as connection:
            events = {row.name: row.message for row in connection.execute(schema.event.select())}
    with books(tmp_path / "poor") as found:
        asking = Station(found, {"coverage": 0.9})
        refused = asking.run(asking.receive("poor"))

    assert job.state is JobState.PREPARED
    assert events["input-quality"].startswith("ct: ")
    assert (refused.state, refused.reason) == (JobState.REFUSED, ReasonCode.IMAGE_QUALITY)
    assert "coverage" in refused.message
