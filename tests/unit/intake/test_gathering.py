"""From arrivals to jobs, with time turned by hand."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.actions import Operator
from node.core.identity import ClassUID
from node.core.job import JobState, StudyState
from node.core.study import InstanceKind
from node.errors import NotPossible
from node.settings import RouteInput
from node.state import arrivals, work
from tests.makers.ledger import books, ct_slice, is_live
from tests.makers.scene import ROUTE, Scene


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Iterator[Scene]:
    with books(tmp_path, database_url) as found:
        yield Scene(found, ROUTE)


def test_a_quiet_study_becomes_one_job_and_is_enqueued(scene: Scene) -> None:
    scene.arrive(1, 2, 3)
    scene.pass_quiet_time()
    (job,) = scene.jobs()

    assert scene.study().state is StudyState.COMPLETE
    assert (job.state, job.run, job.turn, scene.stack(job).slice_count) == (JobState.QUEUED, 1, 1, 3)
    assert is_live(scene.books.queue, scene.books.queue.stage_id(work.Ticket(job.id, 1, job.stage, 1)))


def test_looking_again_makes_nothing_more(scene: Scene) -> None:
    scene.arrive(1, 2, 3)
    scene.pass_quiet_time()
    scene.pass_quiet_time()

    assert len(scene.jobs()) == 1


def test_nothing_is_decided_while_instances_wait_to_be_indexed(scene: Scene) -> None:
    scene.arrive(1, 2)
    scene.pending.add(ct_slice(1).study_uid)
    scene.pass_quiet_time()

    assert scene.jobs() == []


def test_an_open_association_holds_the_study_for_a_minute_at_most(scene: Scene) -> None:
    scene.arrive(1, 2)
    scene.open_associations.add("a1")
    scene.pass_quiet_time()
    waiting = scene.jobs()
    scene.books.clock.forward(seconds=60)
    scene.gathering.look()

    assert waiting == []
    assert len(scene.jobs()) == 1


def test_a_late_image_of_the_chosen_stack_supersedes_the_first_job(scene: Scene) -> None:
    scene.arrive(1, 2, 3)
    scene.pass_quiet_time()
    scene.arrive(4)
    scene.pass_quiet_time()
    first, second = scene.jobs()

    assert (first.state, first.message) == (JobState.SUPERSEDED, f"superseded by {second.id}")
    assert scene.stack(second).slice_count == 4


def test_a_late_image_of_another_series_leaves_the_result_alone(scene: Scene) -> None:
    scene.arrive(1, 2, 3)
    scene.pass_quiet_time()
    scene.arrive(1, series="scout")
    scene.pass_quiet_time()

    assert [job.state for job in scene.jobs()] == [JobState.QUEUED]
    assert scene.study().generation == 2


def test_a_report_neither_extends_nor_reopens_a_study(scene: Scene) -> None:
    scene.arrive(1, 2)
    scene.pass_quiet_time()
    report = replace(
        ct_slice(1, series="dose"), kind=InstanceKind.OTHER, sop_class_uid=ClassUID("1.2.840.10008.5.1.4.1.1.88.67")
    )
    scene.books.arrive(report)

    assert scene.study().state is StudyState.COMPLETE


def test_two_patients_under_one_study_uid_are_held_and_never_merged(scene: Scene) -> None:
    scene.arrive(1, 2)
    scene.arrive(3, patient="P2")
    scene.pass_quiet_time()
    with scene.books.ledger.read() as connection:
        studies = arrivals.studies_of_uid(connection, ct_slice(1).study_uid)

    assert [one.state for one in studies] == [StudyState.QUARANTINED, StudyState.QUARANTINED]
    assert scene.jobs() == []
    for one, other in (studies, reversed(studies)):
        assert f"two-patients: study {other.id} has the same Study Instance UID" in one.why


def test_a_uid_that_two_patients_share_names_neither_of_them(scene: Scene) -> None:
    """Or the one would be released, or erased, for the other."""
    scene.arrive(1, 2)
    scene.arrive(3, patient="P2")
    operator, uid, now = Operator(scene.books.ledger, scene.books.queue), ct_slice(1).study_uid, scene.books.clock()
    with scene.books.ledger.read() as connection:
        first, second = (one.id for one in arrivals.studies_of_uid(connection, uid))

    for act in (
        lambda: operator.release(uid, now, latest=False),
        lambda: operator.erase(uid, scene.books.home, now),
        lambda: operator.complete(uid, now),
    ):
        with pytest.raises(NotPossible, match=f"name the study by its id, {first} or {second}"):
            act()
    assert operator.release(second, now, latest=False) == second


def test_an_absent_attribute_leaves_the_route_undecided_and_says_which(tmp_path: Path, database_url: str) -> None:
    with books(tmp_path, database_url) as found:
        scene = Scene(found, ROUTE.model_copy(update={"when": "study.patient_age_y >= 18"}))
        scene.arrive(1, 2)
        scene.pass_quiet_time()

        assert scene.jobs() == []
        assert scene.decisions() == [("undecided", "patient_age_y is absent")]


def test_a_cap_makes_the_study_incomplete_and_says_so(scene: Scene) -> None:
    for number in range(1, 26):
        scene.arrive(number)
        scene.books.clock.forward(minutes=10)
        scene.pending.add("other")
    scene.books.clock.forward(minutes=-10, seconds=1)
    scene.gathering.look()
    (job,) = scene.jobs()

    assert job.incomplete
    assert scene.study().incomplete


def test_the_preferred_stack_is_chosen_whatever_came_first(tmp_path: Path, database_url: str) -> None:
    route = ROUTE.model_copy(update={"input": {"ct": RouteInput(prefer=("stack.kernel == 'B30f'",))}})
    with books(tmp_path, database_url) as found:
        scene = Scene(found, route)
        scene.arrive(1, 2, 3, 4, series="sharp", kernel="B70f")
        scene.arrive(1, 2, 3, series="soft", kernel="B30f")
        scene.pass_quiet_time()
        (job,) = scene.jobs()

        assert scene.stack(job).kernel == "B30f"


def test_open_associations_are_asked_for_once_in_each_look(scene: Scene) -> None:
    """Each asking reads a file for every association; a hundred studies may be gathering."""
    for study in ("one", "two", "three"):
        scene.books.arrive(ct_slice(1, study=study))
    scene.gathering.look()

    assert scene.looks_at_associations == 1


def test_images_are_read_before_others_have_to_wait(scene: Scene) -> None:
    """Those of a large study take seconds, and there is one writer."""
    while_writing: list[bool] = []

    def keep(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT") and "iso_instance.facts" in statement:
            while_writing.append("isocenter_writes" in connection.get_execution_options())

    scene.arrive(1, 2, 3)
    sa.event.listen(scene.books.ledger.engine, "before_cursor_execute", keep)
    scene.pass_quiet_time()

    assert len(scene.jobs()) == 1
    assert while_writing == [False]


@pytest.mark.parametrize("kind", [InstanceKind.IMAGE, InstanceKind.OTHER])
def test_what_comes_while_routes_are_decided_is_not_left_out(scene: Scene, kind: InstanceKind) -> None:
    late = [4]

    def arrive(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "iso_instance.facts" in statement and statement.startswith("SELECT") and late:
            scene.books.arrive(ct_slice(late.pop(), kind=kind))

    scene.arrive(1, 2, 3)
    sa.event.listen(scene.books.ledger.engine, "after_cursor_execute", arrive)
    scene.pass_quiet_time()
    seen = scene.jobs()
    scene.pass_quiet_time()
    (job,) = scene.jobs()

    assert seen == []
    assert scene.stack(job).slice_count == (4 if kind is InstanceKind.IMAGE else 3)


def test_a_study_that_is_erased_while_routes_are_decided_is_let_go(scene: Scene) -> None:
    erased: list[bool] = []

    def erase(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "iso_instance.facts" in statement and statement.startswith("SELECT") and not erased:
            erased.append(True)
            Operator(scene.books.ledger, scene.books.queue).erase(
                scene.study().id, scene.books.home, scene.books.clock()
            )

    scene.arrive(1, 2, 3)
    sa.event.listen(scene.books.ledger.engine, "after_cursor_execute", erase)
    scene.pass_quiet_time()

    assert scene.jobs() == []
