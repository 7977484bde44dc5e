"""How fast the receiver is, beside Orthanc and DCMTK on the same machine in the same minutes."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from node import __version__
from node.bench.figures import Case, Side
from node.bench.load import BenchFailed, Load, idle_associations, knock, make_large, make_load, send, send_by_storescu
from node.bench.servers import Server, missing, orthanc, our_receiver, storescp, usage_of
from node.bench.trust import make_trust
from node.rehearsal.running import running_node
from node.state import schema
from node.state.ledger import Ledger

LARGE, SMALL = 1 << 19, 1 << 15
INDEX_LIMIT_S = 120.0
IDLE_S = 5.0
IDLE = 50
Say = Callable[[str], None]
Sent = Callable[[int], float]
"""Sends one round's load and gives its seconds."""


@dataclass(frozen=True)
class Bench:
    """A place to work in, how many rounds, and where to say what is being done."""

    folder: Path
    rounds: int
    say: Say

    def loads(self, name: str, count: int, size_bytes: int) -> list[Load]:
        """Instances for each round, and for a first one that is not counted."""
        return [
            make_load(self.folder / f"{name}-{number}", f"{name}-{number}-{time.time_ns()}", count, size_bytes)
            for number in range(self.rounds + 1)
        ]

    def interleaved(self, ours: Sent, theirs: Sent) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The times of both, in turn; the first round of each warms up.

        Who was first goes second in the next round: what one left to be written slows the other.
        """
        times: dict[Sent, list[float]] = {ours: [], theirs: []}
        for number in range(self.rounds + 1):
            for one in (ours, theirs) if number % 2 else (theirs, ours):
                times[one].append(one(number))
        return tuple(times[ours][1:]), tuple(times[theirs][1:])


def run_receive(folder: Path, rounds: int, say: Say) -> list[Case]:
    """Every case in turn; one whose programs are missing is skipped with words. Raises BenchFailed."""
    cases = []
    for number, (name, most, programs, measure) in enumerate(CASES):
        lacking = missing("dcmsend", "echoscu", *programs)
        if lacking:
            cases.append(Case(name, "s", most, skipped=lacking))
            continue
        say(name)
        place = folder / str(number)
        place.mkdir()
        unit, ours, theirs = measure(Bench(place, rounds, say))
        cases.append(Case(name, unit, most, ours, theirs))
        _empty(place)
    return cases


def _empty(place: Path) -> None:
    """Give a case's disk space back, and leave its files: where ext4 has no journal, each new file waits for a look
    at every one that was removed in the last minutes, so that a case would slow the next ones."""
    for file in place.rglob("*"):
        if file.is_file():
            os.truncate(file, 0)


Measured = tuple[str, Side, Side]


def one_association(bench: Bench) -> Measured:
    """300 instances of 512 KiB, durable, beside Orthanc."""
    return _beside_orthanc(bench, bench.loads("load", 300, LARGE))


def small_instances(bench: Bench) -> Measured:
    """1000 instances of 32 KiB, durable, beside Orthanc."""
    return _beside_orthanc(bench, bench.loads("load", 1000, SMALL))


def four_associations(bench: Bench) -> Measured:
    """Four senders at once, 100 instances of 512 KiB each, beside Orthanc with the same four."""
    loads = [bench.loads(f"load-{number}", 100, LARGE) for number in range(4)]
    with our_receiver(bench.folder / "ours") as ours, orthanc(bench.folder / "theirs") as theirs:
        return _sides(bench, ours, theirs, lambda server, number: send(server, *(one[number] for one in loads)))


def four_beside_one(bench: Bench) -> Measured:
    """The same four beside one association that sends as much, both to us."""
    many = [bench.loads(f"many-{number}", 75, LARGE) for number in range(4)]
    one = bench.loads("one", 300, LARGE)
    with our_receiver(bench.folder / "ours") as ours:
        runs = bench.interleaved(
            lambda number: send(ours, *(load[number] for load in many)), lambda number: send(ours, one[number])
        )
    return "s", Side("isocenter", __version__, runs[0]), Side("isocenter, one association", __version__, runs[1])


def without_syncs(bench: Bench) -> Measured:
    """300 instances of 512 KiB without waiting for the disk, beside DCMTK, which never waits for it."""
    loads = bench.loads("load", 300, LARGE)
    with our_receiver(bench.folder / "ours", syncs=False) as ours, storescp(bench.folder / "theirs") as theirs:
        return _sides(bench, ours, theirs, lambda server, number: send(server, loads[number]))


def until_indexed(bench: Bench) -> Measured:
    """300 instances of 512 KiB until all of them are in the ledger, beside Orthanc, which answers when they are."""
    loads = bench.loads("load", 300, LARGE)
    settings = {"gathering.quiet_s": "3600", "gathering.cap_s": "3600"}
    with ExitStack() as stack:
        node = stack.enter_context(running_node(bench.folder / "ours", peers="", routes="", settings=settings))
        node.wait_until_ready()
        ours = Server("isocenter", __version__, "ISOCENTER", node.port, (node.process.pid,))
        theirs = stack.enter_context(orthanc(bench.folder / "theirs"))
        ledger = stack.enter_context(node.ledger())

        def indexed(number: int) -> float:
            began = time.monotonic()
            send(ours, loads[number])
            _wait_until_indexed(ledger, loads[number])
            return time.monotonic() - began

        runs = bench.interleaved(indexed, lambda number: send(theirs, loads[number]))
    return "s", Side("isocenter", __version__, runs[0]), Side(theirs.name, theirs.version, runs[1])


def beside_idle_ones(bench: Bench) -> Measured:
    """300 instances of 512 KiB while 50 associations are open and idle, beside the same without them."""
    loads = bench.loads("load", 300, LARGE)
    alone = bench.loads("alone", 300, LARGE)
    with our_receiver(bench.folder / "ours") as ours:

        def with_idle(number: int) -> float:
            with idle_associations(ours, IDLE):
                return send(ours, loads[number])

        runs = bench.interleaved(with_idle, lambda number: send(ours, alone[number]))
    return "s", Side("isocenter", __version__, runs[0]), Side("isocenter, none idle", __version__, runs[1])


def idle_cost(bench: Bench) -> Measured:
    """Processor seconds that 50 idle associations cost in five seconds, beside five seconds of one core."""
    with our_receiver(bench.folder / "ours") as ours, idle_associations(ours, IDLE):

        def used(_number: int) -> float:
            before = usage_of(ours).processor_s
            time.sleep(IDLE_S)
            return usage_of(ours).processor_s - before

        runs = tuple(used(number) for number in range(bench.rounds))
    return "s", Side("isocenter", __version__, runs), Side("one core", "", (IDLE_S,) * bench.rounds)


def mutual_tls(bench: Bench) -> Measured:
    """300 instances of 512 KiB by storescu over mutual TLS, beside the same without TLS."""
    trust = make_trust(bench.folder / "trust")
    secured, plain = bench.loads("secured", 300, LARGE), bench.loads("plain", 300, LARGE)
    with our_receiver(bench.folder / "ours", tls=(trust.key, trust.certificate, trust.authority)) as ours:
        options = ("+tls", str(trust.key), str(trust.certificate), "+cf", str(trust.authority))
        runs = bench.interleaved(
            lambda number: send_by_storescu(ours, secured[number], options),
            lambda number: send_by_storescu(ours, plain[number]),
        )
    return "s", Side("isocenter", __version__, runs[0]), Side("isocenter, plain", __version__, runs[1])


def many_associations(bench: Bench) -> Measured:
    """Growth of the receiver's memory over 10,000 associations and 10,000 bare connections, beside 16 MB."""
    with our_receiver(bench.folder / "ours") as ours:
        knock(ours, 200)
        before = usage_of(ours)
        knock(ours, 10_000)
        after = usage_of(ours)
    if (after.threads, after.files) > (before.threads + 1, before.files + 1):
        raise BenchFailed(f"10,000 associations left {after.threads} threads and {after.files} open files")
    return "MB", Side("isocenter", __version__, (after.memory_mb - before.memory_mb,)), Side("limit", "", (16.0,))


def memory_of_a_large_object(bench: Bench) -> Measured:
    """Growth of the receiver's memory over one multi-frame object of 2 GB, beside 64 MB."""
    with our_receiver(bench.folder / "ours") as ours:
        send(ours, make_load(bench.folder / "first", f"first-{time.time_ns()}", 1, LARGE))
        before = usage_of(ours).peak_mb
        send(ours, make_large(bench.folder / "large.dcm", f"large-{time.time_ns()}", 2_000_000_000 // LARGE * LARGE))
        grown = usage_of(ours).peak_mb - before
    return "MB", Side("isocenter", __version__, (grown,)), Side("limit", "", (64.0,))


CASES: Sequence[tuple[str, float, tuple[str, ...], Callable[[Bench], Measured]]] = (
    ("1 association, 300 x 512 KiB, fsync", 0.5, ("Orthanc",), one_association),
    ("the same, until all are indexed", 1.0, ("Orthanc",), until_indexed),
    ("the same without fsync", 1.1, ("storescp",), without_syncs),
    ("1 association, 1000 x 32 KiB, fsync", 0.6, ("Orthanc",), small_instances),
    ("4 associations, 100 x 512 KiB each, fsync", 0.5, ("Orthanc",), four_associations),
    ("4 associations beside 1 with as much", 1.0, (), four_beside_one),
    ("50 idle associations and 1 active beside 1 alone", 1.11, (), beside_idle_ones),
    ("processor time of 50 idle associations", 0.03, (), idle_cost),
    ("mutual TLS beside plain", 1.6, ("storescu", "openssl"), mutual_tls),
    ("memory after 10,000 associations and 10,000 probes", 1.0, (), many_associations),
    ("memory for one object of 2 GB", 1.0, (), memory_of_a_large_object),
)
"""Name, what the ratio should not exceed, programs it needs beside dcmsend and echoscu, and how it is measured."""


def _beside_orthanc(bench: Bench, loads: Sequence[Load]) -> Measured:
    with our_receiver(bench.folder / "ours") as ours, orthanc(bench.folder / "theirs") as theirs:
        return _sides(bench, ours, theirs, lambda server, number: send(server, loads[number]))


def _sides(bench: Bench, ours: Server, theirs: Server, sent: Callable[[Server, int], float]) -> Measured:
    runs = bench.interleaved(lambda number: sent(ours, number), lambda number: sent(theirs, number))
    return "s", Side(ours.name, ours.version, runs[0]), Side(theirs.name, theirs.version, runs[1])


def _wait_until_indexed(ledger: Ledger, load: Load) -> None:
    deadline = time.monotonic() + INDEX_LIMIT_S
    count = (
        sa.select(sa.func.count())
        .select_from(schema.instance.join(schema.study, schema.instance.c.study_id == schema.study.c.id))
        .where(schema.study.c.study_uid == load.study_uid)
    )
    while time.monotonic() < deadline:
        with ledger.read() as connection:
            if connection.execute(count).scalar_one() == len(load.files):
                return
        time.sleep(0.02)
    raise BenchFailed(f"not all of {len(load.files)} instances were indexed within {INDEX_LIMIT_S:.0f} s")
