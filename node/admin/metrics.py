"""What monitoring reads at /metrics: how things are now, and what has happened since the service process began."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from node import __version__
from node.admin.health import Health
from node.core.job import DeliveryEvent, JobState, StudyState
from node.core.study import InstanceKind
from node.errors import LedgerUnusable
from node.state.associations import AssociationOutcome, AssociationRecord
from node.state.counts import count_states, waiting_since
from node.state.gains import Gains
from node.state.ledger import Ledger

EVERY_S = 30.0
"""So often the history is looked through, whoever asks: what is new is then never much."""
STAGE_S = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800)
TURNAROUND_S = (10, 20, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600)
"""Upper edges of the classes in which times are counted."""
EVENTS = (
    *(f"study-{one.value}" for one in StudyState),
    *(f"job-{one.value}" for one in JobState),
    *(f"delivery-{one.value}" for one in DeliveryEvent if one is not DeliveryEvent.STARTED),
)
"""Told from the beginning, as all kinds and outcomes are: of a count that appears as 1, no rate can be told."""


class Metrics:
    """Counts what the service process is told and what the ledger's history gains; any thread may call."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        """Raises LedgerUnusable."""
        self._ledger, self._now, self._lock = ledger, now, threading.Lock()
        with ledger.read() as connection:
            self._gains = Gains(connection)
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of no use here
        self._counted = registry = CollectorRegistry()
        self._instances = Counter(
            "isocenter_instances_total",
            "Instances received, by what they are to the node.",
            ["kind"],
            registry=registry,
        )
        self._bytes = Counter("isocenter_instance_bytes_total", "Bytes of their data sets.", registry=registry)
        self._refused = Counter(
            "isocenter_refused_instances_total", "Instances answered with an error.", registry=registry
        )
        self._associations = Counter(
            "isocenter_associations_total", "Associations, by how they ended.", ["outcome"], registry=registry
        )
        self._events = Counter(
            "isocenter_events_total",
            "What the history of studies, jobs, deliveries gained.",
            ["event"],
            registry=registry,
        )
        self._stages = Histogram(
            "isocenter_stage_seconds", "How long attempts at a stage took, by how they ended.", ["stage", "outcome"],
            registry=registry, buckets=STAGE_S,
        )  # fmt: skip
        self._turnaround = Histogram(
            "isocenter_turnaround_seconds", "From a study's last image until the arrival of its results.",
            registry=registry, buckets=TURNAROUND_S,
        )  # fmt: skip

        for kind in InstanceKind:
            self._instances.labels(kind=kind.value)
        for outcome in AssociationOutcome:
            if outcome is not AssociationOutcome.OPEN:
                self._associations.labels(outcome=outcome.value)
        for event in EVENTS:
            self._events.labels(event=event)

    def instance(self, kind: str, size_bytes: int) -> None:
        """One was indexed. size_bytes: of its data set."""
        self._instances.labels(kind=kind).inc()
        self._bytes.inc(size_bytes)

    def association(self, record: AssociationRecord) -> None:
        """One ended."""
        self._associations.labels(outcome=record.outcome.value).inc()
        self._refused.inc(record.refused)

    def look(self) -> None:
        """Count what the history gained. Raises LedgerUnusable, and then counts it at the next look."""
        with self._lock:
            with self._ledger.read() as connection:
                gained = self._gains.look(connection)
            for event, count in gained.events.items():
                self._events.labels(event=event).inc(count)
            for one in gained.stages:
                self._stages.labels(stage=one.stage, outcome=one.outcome).observe(one.seconds)
            for seconds in gained.arrived_s:
                self._turnaround.observe(seconds)

    def told(self, health: Health) -> bytes:
        """All of them in Prometheus's text format. Where the ledger cannot be read, what was counted before and
        nothing of its states: isocenter_part_works tells that."""
        try:
            self.look()
            with self._ledger.read() as connection:
                counts, since = count_states(connection), waiting_since(connection)
        except LedgerUnusable:
            counts, since = {}, {}
        waiting_s = {state: max((self._now() - at).total_seconds(), 0.0) for state, at in since.items()}
        return bytes(generate_latest(_present(health, counts, waiting_s)) + generate_latest(self._counted))


def _present(
    health: Health, counts: Mapping[str, Mapping[str, int]], waiting_s: Mapping[str, float]
) -> CollectorRegistry:
    registry = CollectorRegistry()
    build = Gauge("isocenter_build_info", "The node's version.", ["version"], registry=registry)
    build.labels(version=__version__).set(1)
    Gauge("isocenter_ready", "Whether the node takes studies and works on them.", registry=registry).set(health.ready)
    Gauge("isocenter_disk_free_megabytes", "Room left for the spool.", registry=registry).set(health.disk_free_mb)
    works = Gauge("isocenter_part_works", "Whether a part of the node works.", ["part", "host"], registry=registry)
    for one in health.parts:
        works.labels(part=one.name, host=one.host).set(one.works)
    for noun, states in counts.items():
        gauge = Gauge(f"isocenter_{noun}", f"How many {noun} are in each state.", ["state"], registry=registry)
        for state, number in states.items():
            gauge.labels(state=state).set(number)
    waiting = Gauge(
        "isocenter_waiting_seconds", "How long the job or delivery has waited that waits longest.", ["state"],
        registry=registry,
    )  # fmt: skip
    for state, seconds in waiting_s.items():
        waiting.labels(state=state).set(seconds)
    return registry
