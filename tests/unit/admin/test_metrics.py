"""What /metrics tells, and that its documentation and the alerts that ship with it speak of what is there."""

import re
from dataclasses import replace
from pathlib import Path

import yaml

from node.admin.health import Health
from node.admin.metrics import Metrics
from node.core.job import DeliveryEvent, Stage
from node.core.parts import Kind, Part, Standing
from node.intake.callers import keep_ended
from node.state import outbox, work
from node.state.associations import AssociationOutcome, AssociationRecord, Associations
from node.state.work import Ticket
from tests.makers.ledger import START, Books, books, queued_job

ROOT = Path(__file__).parents[3]
DISK = Part(Kind.DISK, "disk", Standing.READY, START, "")
HEALTH = Health(True, "", (DISK,), 5000)


def samples(metrics: Metrics) -> dict[str, float]:
    """By name and labels, as they stand in the text."""
    lines = metrics.told(HEALTH).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def delivered(found: Books) -> None:
    """A job of which one stage failed and one result set arrived."""
    job = queued_job(found, "j1")
    with found.ledger.write() as connection:
        attempt = work.start_attempt(connection, Ticket(job.id, 1, Stage.PREPARE, 1), "worker", found.clock())
        found.clock.forward(seconds=20)
        work.end_attempt(connection, attempt, "error", found.clock())
        made = outbox.add_delivery(connection, job, "pacs", found.clock())
        outbox.change_delivery(connection, made, DeliveryEvent.STARTED, found.clock())
        outbox.change_delivery(
            connection, outbox.get_delivery(connection, made.id), DeliveryEvent.ACCEPTED, found.clock()
        )


def test_what_happens_is_counted_from_the_first_time_on(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        metrics = Metrics(found.ledger, found.clock)
        before = samples(metrics)
        delivered(found)
        metrics.look()
        after = samples(metrics)

    for name, grown in {
        'isocenter_events_total{event="delivery-accepted"}': 1,
        'isocenter_events_total{event="job-queued"}': 1,
        "isocenter_turnaround_seconds_count": 1,
        "isocenter_turnaround_seconds_sum": 20,
    }.items():
        assert (before[name], after[name]) == (0, grown), name
    assert after['isocenter_stage_seconds_sum{outcome="error",stage="prepare"}'] == 20


def test_callers_and_what_they_brought_are_counted_once(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        metrics = Metrics(found.ledger, found.clock)
        calls = Associations(tmp_path)
        receiver = calls.serve()
        record = AssociationRecord("a", receiver.name, "CT", "ISOCENTER", "192.0.2.1", None, START)
        ended = replace(record, outcome=AssociationOutcome.ABORTED, ended_at=START, refused=3)
        for _ in range(2):
            receiver.write(ended)
            for one in keep_ended(found.ledger, calls):
                metrics.association(one)
        receiver.close()
        metrics.instance("image", 1000)
        told = samples(metrics)

    assert told['isocenter_associations_total{outcome="aborted"}'] == 1
    assert told["isocenter_refused_instances_total"] == 3
    assert told['isocenter_instances_total{kind="image"}'] == 1
    assert told["isocenter_instance_bytes_total"] == 1000


def test_what_waits_longest_is_told_by_its_state(tmp_path: Path) -> None:
    with books(tmp_path) as found:
        metrics = Metrics(found.ledger, found.clock)
        job = queued_job(found, "old")
        found.clock.forward(minutes=5)
        queued_job(found, "new")
        with found.ledger.write() as connection:
            outbox.add_delivery(connection, job, "pacs", found.clock())
        found.clock.forward(minutes=1)
        told = samples(metrics)

    waiting = {name: value for name, value in told.items() if name.startswith("isocenter_waiting_seconds")}
    assert waiting == {
        'isocenter_waiting_seconds{state="queued"}': 360,
        'isocenter_waiting_seconds{state="waiting"}': 60,
    }


def documented() -> set[str]:
    page = (ROOT / "docs/operate/monitor.md").read_text()
    return set(re.findall(r"^\| `(isocenter_\w+)`", page, flags=re.MULTILINE))


def told_in_full(tmp_path: Path) -> set[str]:
    """The names of all metrics there are, each as it is read by a query."""
    with books(tmp_path) as found:
        metrics = Metrics(found.ledger, found.clock)
        delivered(found)
        names = re.findall(r"^# TYPE (\w+) (\w+)", metrics.told(HEALTH).decode(), flags=re.MULTILINE)
    return {name for name, _kind in names}


def test_every_metric_is_documented_and_no_other(tmp_path: Path) -> None:
    assert documented() == told_in_full(tmp_path)


def test_the_alerts_that_ship_ask_for_metrics_and_events_that_are_there(tmp_path: Path) -> None:
    (group,) = yaml.safe_load((ROOT / "config/examples/prometheus-alerts.yaml").read_text())["groups"]
    asked = " ".join(rule["expr"] for rule in group["rules"])
    with books(tmp_path) as found:
        told = samples(Metrics(found.ledger, found.clock))

    (tmp_path / "other").mkdir()
    assert set(re.findall(r"isocenter_\w+", asked)) <= told_in_full(tmp_path / "other")
    for selected in re.findall(r'(isocenter_\w+_total\{\w+="[^"]+"\})', asked):
        assert selected in told
