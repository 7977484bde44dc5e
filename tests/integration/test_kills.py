"""A node whose processes are killed at random moments under load loses nothing and does nothing twice."""

from pathlib import Path

import pytest

from node.bench.kills import KillsReport, settle
from node.bench.kills import run_kills as run
from node.bench.sender import acknowledged

pytestmark = pytest.mark.slow
KILLS = 10


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, KillsReport]:
    folder = tmp_path_factory.mktemp("kills")
    return folder, run(folder, KILLS, seed=3)


def test_nothing_acknowledged_is_missing_and_nothing_is_done_twice(killed: tuple[Path, KillsReport]) -> None:
    _, report = killed
    found = report.as_json()

    assert {name: found[name] for name in ("kills", "missing", "lost_jobs", "duplicate_jobs", "failed_jobs")} == {
        "kills": KILLS,
        "missing": 0,
        "lost_jobs": 0,
        "duplicate_jobs": 0,
        "failed_jobs": 0,
    }
    assert (found["lost_objects"], found["duplicate_objects"]) == (0, 0)
    assert report.balance.jobs == len(report.studies) > 0
    assert report.balance.acknowledged > 100


def test_the_kills_met_a_node_at_work(killed: tuple[Path, KillsReport]) -> None:
    """At least four of five, with an association open or a stage running."""
    _, report = killed

    assert report.under_load >= 0.8 * KILLS


def test_an_instance_that_is_gone_or_changed_would_be_seen(killed: tuple[Path, KillsReport]) -> None:
    """The account can fail: it reads the files, whatever the ledger says."""
    folder, report = killed
    first, second = acknowledged(folder / "journal")[:2]
    spool = folder / "node" / "home" / "spool" / "instances"
    gone, changed = (spool / one.study_uid / f"{one.sop_instance_uid}.dcm" for one in (first, second))
    kept = gone.read_bytes(), changed.read_bytes()

    gone.unlink()
    changed.write_bytes(kept[1][:-1] + b"\x7f")
    missing = settle(folder, report.studies).missing
    gone.write_bytes(kept[0])
    changed.write_bytes(kept[1])

    assert missing == 2


def test_an_object_too_many_or_too_few_would_be_seen(killed: tuple[Path, KillsReport]) -> None:
    folder, report = killed
    arrived = next((folder / "pacs").iterdir())
    arrived.rename(arrived.with_name("2.25.1.dcm"))
    found = settle(folder, report.studies)
    arrived.with_name("2.25.1.dcm").rename(arrived)

    assert (found.lost_objects, found.duplicate_objects) == (1, 1)


def test_a_study_without_its_job_would_be_seen(killed: tuple[Path, KillsReport]) -> None:
    folder, report = killed

    assert settle(folder, [*report.studies, "1.2.3"]).lost_jobs == 1


@pytest.mark.real("postgresql")
def test_the_same_holds_on_postgresql(tmp_path: Path, postgres) -> None:
    report = run(tmp_path, KILLS, seed=4, database_url=postgres.new())

    assert report.ok
    assert report.kills == KILLS
    assert report.under_load >= 0.8 * KILLS
    assert report.balance.jobs == len(report.studies) > 0
