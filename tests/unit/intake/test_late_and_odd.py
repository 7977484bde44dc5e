"""Studies that arrive late, in pieces, mixed or twice end as one result for each route."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.actions import NotPossible, Operator
from node.core.identity import ClassUID
from node.core.job import JobState, StudyEvent, StudyState
from node.core.study import InstanceKind
from node.settings import GatheringTable, NodeSettings, Route, RouteInput
from node.state import arrivals, schema
from node.state.arrivals import Conflict
from node.state.work import Ticket, adopt, get_job
from tests.makers.ledger import books, ct_slice
from tests.makers.scene import ROUTE, Scene

MR = ClassUID("1.2.840.10008.5.1.4.1.1.4")
DOSE_REPORT = ClassUID("1.2.840.10008.5.1.4.1.1.88.67")
SERIES = ("survey", "t1", "t2", "flair", "dwi", "adc")


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Iterator[Scene]:
    with books(tmp_path, database_url) as found:
        yield Scene(found, ROUTE)


def mr_route(series: str) -> Route:
    wanted = RouteInput(where=f"stack.description == '{series}'")
    return Route(name=series, model="brain-mr", destinations=("pacs",), input={"mr": wanted})


def send_mr(scene: Scene) -> None:
    """Six series at four-minute intervals from a scanner, then its dose report."""
    for number, series in enumerate(SERIES):
        for index in range(1, 4):
            facts = ct_slice(index, series=series, sop_class_uid=MR, modality="MR", series_number=number)
            scene.books.arrive(replace(facts, series_description=series), peer="scanner", association=series)
        for _ in range(8):
            scene.pass_time(seconds=30)
    report = replace(ct_slice(1, series="dose"), kind=InstanceKind.OTHER, sop_class_uid=DOSE_REPORT)
    scene.books.arrive(report, peer="scanner")
    scene.pass_time(minutes=20)


def test_an_mr_in_six_series_at_four_minute_intervals_gives_one_result_per_route(tmp_path: Path) -> None:
    """A scanner's quiet time of two minutes ends six times; a route whose inputs did not change runs nothing again."""
    with books(tmp_path) as found:
        scene = Scene(found, mr_route("t2"), mr_route("flair"))
        send_mr(scene)

        assert [(job.route, job.state, job.run) for job in scene.jobs()] == [
            ("t2", JobState.QUEUED, 1),
            ("flair", JobState.QUEUED, 1),
        ]
        assert scene.study().generation == len(SERIES)
        assert scene.history().count("job-unchanged") == 3 + 2


def test_a_late_image_before_the_study_is_complete_is_part_of_it(scene: Scene) -> None:
    scene.arrive(1, 2, 3)
    scene.pass_time(seconds=9)
    scene.arrive(4)
    scene.pass_time(seconds=9)
    waiting = scene.jobs()
    scene.pass_quiet_time()
    (job,) = scene.jobs()

    assert waiting == []
    assert scene.stack(job).slice_count == 4


def test_a_late_image_during_the_run_makes_what_runs_stale(scene: Scene) -> None:
    """The stage that is running when the study is complete again finishes, and its work is not adopted."""
    scene.arrive(1, 2, 3)
    scene.pass_quiet_time()
    (first,) = scene.jobs()
    scene.arrive(4)
    scene.pass_quiet_time()
    with scene.books.ledger.write() as connection:
        ticket = Ticket(first.id, first.run, first.stage, first.turn)
        adopted = adopt(connection, first, ticket, "work/x", None, scene.books.clock())
    old, new = scene.jobs()

    assert not adopted
    assert (old.state, new.state, scene.stack(new).slice_count) == (JobState.SUPERSEDED, JobState.QUEUED, 4)


def test_a_late_image_after_the_run_supersedes_its_result(scene: Scene) -> None:
    scene.arrive(1, 2, 3)
    scene.pass_quiet_time()
    (first,) = scene.jobs()
    with scene.books.ledger.write() as connection:
        connection.execute(schema.job.update().values(state=JobState.ENCODED.value, stage="encode"))
    scene.arrive(4)
    scene.pass_time(hours=3)
    (job,) = scene.in_force()

    assert job.id != first.id
    with scene.books.ledger.read() as connection:
        assert get_job(connection, first.id).message == f"superseded by {job.id}"


def test_a_study_over_many_associations_is_one_study(scene: Scene) -> None:
    for number in range(1, 7):
        scene.books.arrive(ct_slice(number), association=f"a{number}")
        scene.pass_time(seconds=5)
    scene.pass_quiet_time()
    (job,) = scene.jobs()

    assert scene.stack(job).slice_count == 6


def test_two_studies_interleaved_on_one_association_stay_two(scene: Scene) -> None:
    for number in range(1, 4):
        scene.arrive(number, study="one")
        scene.arrive(number, study="two", patient="P2")
    scene.pass_quiet_time()
    jobs = scene.jobs()

    assert [scene.stack(job).slice_count for job in jobs] == [3, 3]
    assert len({job.study_id for job in jobs}) == 2


def test_our_own_results_neither_extend_nor_reopen_a_study(scene: Scene) -> None:
    scene.arrive(1, 2, 3)
    scene.pass_time(seconds=9)
    scene.books.arrive(replace(ct_slice(9, series="AI"), kind=InstanceKind.OWN))
    scene.pass_time(seconds=2)
    complete = scene.study().state
    scene.books.arrive(replace(ct_slice(8, series="AI"), kind=InstanceKind.OWN))

    assert (complete, scene.study().state) == (StudyState.COMPLETE, StudyState.COMPLETE)
    assert len(scene.jobs()) == 1


def test_an_image_after_a_purge_is_kept_and_shown_and_starts_nothing(scene: Scene) -> None:
    scene.arrive(1, 2, 3)
    scene.pass_quiet_time()
    with scene.books.ledger.write() as connection:
        study = scene.study()
        arrivals.change_study(connection, study, StudyEvent.PURGED, scene.books.clock())
    scene.arrive(4)
    scene.pass_quiet_time()
    with scene.books.ledger.read() as connection:
        late = connection.execute(schema.instance.select().order_by(schema.instance.c.id)).mappings().all()[-1]

    assert scene.study().state is StudyState.PURGED
    assert len(scene.jobs()) == 1
    assert late["why"] == "study already purged"
    assert scene.history()[-1] == "study-already-purged"


def test_time_during_which_the_node_was_down_is_not_quiet_time(scene: Scene) -> None:
    """Nobody could send then: the sender has the whole quiet time to go on."""
    scene.arrive(1, 2, 3)
    scene.books.clock.forward(hours=1)
    restarted = Scene(scene.books, ROUTE)
    restarted.pass_time(seconds=5)
    waiting = restarted.jobs()
    restarted.pass_quiet_time()

    assert waiting == []
    assert len(restarted.jobs()) == 1


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_by_an_hour_costs_no_more_than_the_quiet_time_anew(scene: Scene, hours: int) -> None:
    scene.arrive(1, 2, 3)
    scene.gathering.look()
    scene.books.clock.set_by(hours=hours)
    scene.pass_time(seconds=2)
    scene.pass_time(seconds=7)
    waiting = scene.jobs()
    scene.pass_time(seconds=4)

    assert waiting == []
    assert len(scene.jobs()) == 1
    assert not scene.study().incomplete


@pytest.mark.parametrize("how", ["clock", "restart"])
def test_a_night_that_nobody_could_send_in_does_not_cut_a_study_in_two(scene: Scene, how: str) -> None:
    """Set right by a day, or started again in the morning, the node took the half of it that was there for all."""
    scene.arrive(1, 2)
    scene.gathering.look()
    if how == "clock":
        scene.books.clock.set_by(days=1)
    else:
        scene.books.clock.forward(hours=14)
        scene = Scene(scene.books, ROUTE)
    scene.gathering.look()
    early = scene.jobs()
    scene.arrive(3)
    scene.pass_quiet_time()
    (job,) = scene.jobs()

    assert early == []
    assert not job.incomplete
    assert scene.stack(job).slice_count == 3


def test_a_study_waits_for_what_its_source_still_holds_up_to_the_cap(scene: Scene) -> None:
    scene.is_lacking = True
    scene.arrive(1, 2, 3)
    scene.pass_quiet_time()
    waiting = scene.jobs()
    scene.is_lacking = False
    scene.pass_time(seconds=2)

    assert waiting == []
    assert not scene.study().incomplete
    assert len(scene.jobs()) == 1


def test_what_the_source_never_sends_is_said_to_be_missing(scene: Scene) -> None:
    scene.is_lacking = True
    scene.arrive(1, 2, 3)
    for _ in range(16):
        scene.pass_time(minutes=1)

    assert len(scene.jobs()) == 1
    assert scene.study().incomplete


def test_complete_now_waits_for_no_source(scene: Scene) -> None:
    scene.is_lacking = True
    scene.arrive(1, 2, 3)
    with scene.books.ledger.write() as connection:
        connection.execute(schema.study.update().values(ordered=True))
    scene.gathering.look()

    assert len(scene.jobs()) == 1


@pytest.mark.parametrize("latest", [False, True])
def test_a_held_study_goes_on_with_the_images_that_the_operator_chose(scene: Scene, *, latest: bool) -> None:
    scene.arrive(1, 2, 3)
    second = replace(ct_slice(2), instance_number=77)
    path = f"spool/instances/{second.study_uid}/{second.sop_instance_uid}~x.dcm"
    scene.books.arrive(second, path=path, conflict=Conflict.HELD)
    scene.pass_quiet_time()
    held = scene.study().state, scene.jobs()
    Operator(scene.books.ledger, scene.books.queue).release(scene.study().id, scene.books.clock(), latest=latest)
    scene.pass_quiet_time()
    with scene.books.ledger.read() as connection:
        used = arrivals.instances_in_force(connection, scene.study().id)

    assert held == (StudyState.QUARANTINED, [])
    assert len(scene.jobs()) == 1
    assert len(used) == 3
    assert (path in {one.path for one in used}) is latest


def test_only_a_held_study_can_be_released(scene: Scene) -> None:
    scene.arrive(1)
    with pytest.raises(NotPossible, match="is gathering; only one that is held"):
        Operator(scene.books.ledger, scene.books.queue).release(scene.study().id, scene.books.clock(), latest=False)


@pytest.mark.parametrize(("patient", "jobs"), [("TEST-7", 0), ("OPTED-OUT", 0), ("P1", 1)])
def test_no_route_takes_a_patient_who_is_excluded(tmp_path: Path, patient: str, jobs: int) -> None:
    settings = NodeSettings(gathering=GatheringTable(exclude_patients=("TEST-*", "OPTED-OUT")))
    with books(tmp_path) as found:
        scene = Scene(found, ROUTE, settings=settings)
        scene.arrive(1, 2, 3, patient=patient)
        scene.pass_quiet_time()

        assert len(scene.jobs()) == jobs
        assert scene.study().state is StudyState.COMPLETE
        assert ("study-excluded" in scene.history()) is (jobs == 0)
