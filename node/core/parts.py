"""The parts of a node: whether each works, since when, what stands still while it does not, and what to do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Kind(str, Enum):
    """What a node is made of."""

    SUPERVISOR = "supervisor"
    RECEIVER = "receiver"
    SERVICE = "service"
    WORKER = "worker"
    MODEL = "model"
    DISK = "disk"
    DATABASE = "database"


class Standing(str, Enum):
    """How a part is. The first five: as its supervisor tells it."""

    READY = "ready"
    STARTING = "starting"
    RENEWING = "renewing"
    WAITING = "waiting"
    STOPPED = "stopped"
    SILENT = "silent"
    ABSENT = "absent"
    FAULTY = "faulty"


WITHOUT: dict[Kind, str] = {
    Kind.SUPERVISOR: "a process that ends is not started again",
    Kind.RECEIVER: "no study can be sent here by DICOM",
    Kind.SERVICE: "what arrives is kept, and neither indexed nor analysed nor sent on",
    Kind.WORKER: "no study is read and no result is written",
    Kind.MODEL: "nothing is analysed",
    Kind.DISK: "whoever sends is asked to come back later",
    Kind.DATABASE: "what arrives is kept; everything else waits",
}
"""What stands still where no part of that kind works."""

TODO: dict[Standing, str] = {
    Standing.READY: "",
    Standing.STARTING: "",
    Standing.RENEWING: "",
    Standing.WAITING: "It ended and is started again by itself. If this stays, the node's log says why it ends.",
    Standing.STOPPED: "The node is being stopped. Start it again.",
    Standing.SILENT: "It gives no sign of life, and others do its work. End it: it is started again by itself.",
    Standing.ABSENT: "None runs. Start one: `isocenter serve`, on this host or on another one of the same home.",
    Standing.FAULTY: "It goes on by itself once that is mended.",
}
"""What a person does about it."""

PATIENT = frozenset({Standing.READY, Standing.STARTING, Standing.RENEWING})
"""Of these nobody need think: processes start again after every change."""
NEEDED = (Kind.DATABASE, Kind.DISK, Kind.RECEIVER, Kind.WORKER, Kind.MODEL)
"""Without one of each, a node does not take studies and work on them. The first that lacks is told. Whether the service
works is told by its answering."""


@dataclass(frozen=True)
class Process:
    """One process of the node as its supervisor tells it. state: a Standing, in the supervisor's word."""

    host: str
    role: str
    slot: int
    pid: int | None
    state: str
    since: datetime


@dataclass(frozen=True)
class Thing:
    """The disk or the database. fault: empty where it can be used. words: what else is to be known of it."""

    kind: Kind
    fault: str
    since: datetime
    words: str = ""


@dataclass(frozen=True)
class Part:
    """One part. since: None where it never was. words: what is known of it, and what to do where it does not work."""

    kind: Kind
    name: str
    standing: Standing
    since: datetime | None
    words: str
    host: str = ""
    pid: int | None = None

    @property
    def works(self) -> bool:
        return self.standing is Standing.READY

    @property
    def needs_person(self) -> bool:
        """Whether somebody should look: it does not work, and not because it has just been started."""
        return self.standing not in PATIENT


def parts_of(processes: Sequence[Process], silent: Mapping[str, datetime], things: Sequence[Thing]) -> tuple[Part, ...]:
    """Every part of a node. silent: executors that were taken for dead, and when each last gave a sign of life."""
    found = [*(_of_process(one, silent) for one in processes), *(_of_thing(one) for one in things)]
    return tuple(sorted([*found, *_absent(found)], key=lambda one: list(Kind).index(one.kind)))


def why_not_ready(parts: Sequence[Part]) -> str:
    """What keeps a node from taking studies and working on them; empty where nothing does."""
    for kind in NEEDED:
        own = [one for one in parts if one.kind is kind]
        if own and not any(one.works for one in own):
            first = own[0]
            if kind in (Kind.DISK, Kind.DATABASE):
                return first.words
            return f"{first.name} is {first.standing.value}: {WITHOUT[kind]}"
    return ""


def executor_of(host: str, role: str, slot: int) -> str:
    """The stable name of a process: one that comes back under it takes up what it left."""
    return f"{host}-{role}-{slot}"


def _of_process(one: Process, silent: Mapping[str, datetime]) -> Part:
    kind, standing, since = Kind(one.role), Standing(one.state), one.since
    executor = executor_of(one.host, one.role, one.slot)
    if standing is Standing.READY and executor in silent:
        standing, since = Standing.SILENT, silent[executor]
    name = kind.value if kind is Kind.SUPERVISOR else f"{kind.value} {one.slot + 1}"
    words = "" if standing in PATIENT else f"{_sentence(WITHOUT[kind])} {TODO[standing]}"
    return Part(kind, name, standing, since, words, one.host, one.pid)


def _of_thing(one: Thing) -> Part:
    if not one.fault:
        return Part(one.kind, one.kind.value, Standing.READY, one.since, one.words)
    words = f"{one.fault}. {_sentence(WITHOUT[one.kind])} {TODO[Standing.FAULTY]}"
    return Part(one.kind, one.kind.value, Standing.FAULTY, one.since, words)


def _absent(found: Sequence[Part]) -> Iterator[Part]:
    """Kinds of process of which a node needs one, and none is told of."""
    for kind in (Kind.SUPERVISOR, Kind.RECEIVER, Kind.WORKER, Kind.MODEL):
        if not any(one.kind is kind for one in found):
            words = f"{_sentence(WITHOUT[kind])} {TODO[Standing.ABSENT]}"
            yield Part(kind, kind.value, Standing.ABSENT, None, words)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
