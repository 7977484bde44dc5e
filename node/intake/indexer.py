"""Drains what the receivers published into the ledger: reads each header once, in small transactions."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from node.core.identity import StudyUID
from node.core.study import InstanceFacts, InstanceKind
from node.errors import Unreadable
from node.intake.conflict import compare
from node.state import arrivals
from node.state.arrivals import Conflict, Received
from node.state.digests import Digests, data_set_sha256, digests_of
from node.state.header import TAGS, facts_of
from node.state.ledger import Ledger
from node.state.part10 import opened
from node.state.spool import Arrival, Spool, read_meta
from node.state.suspects import Suspects

BATCH = 64
"""Instances per transaction: a commit costs a sync of the disk, a long transaction makes others wait."""


class Indexer:
    """Moves arrivals from the spool's list into the ledger. Indexing an instance twice changes nothing."""

    def __init__(
        self,
        ledger: Ledger,
        spool: Spool,
        *,
        home: Path,
        clock: Callable[[], datetime],
        counted: Callable[[str, int], None] = lambda _kind, _size_bytes: None,
    ) -> None:
        """counted: called with the kind and size of each instance that was new to the ledger."""
        self._counted = counted
        self._ledger, self._spool, self._home, self._clock = ledger, spool, home, clock
        self._suspects = Suspects(home)

    def drain(self, limit_s: float = math.inf) -> bool:
        """Index what is there, for about so long; returns whether nothing was left."""
        deadline = time.monotonic() + limit_s
        while batch := list(islice(self._spool.arrivals(), BATCH)):
            self._record([found for found in map(self._read, batch) if found is not None])
            for one in batch:
                self._spool.taken(one)
            if time.monotonic() >= deadline:
                return False
        return True

    def _read(self, arrival: Arrival) -> Received | None:
        """What one file says; None where its study was removed meanwhile."""
        try:
            meta, size = read_meta(arrival.path), arrival.path.stat().st_size
            facts, digests, why = self._content(arrival)
        except FileNotFoundError:
            return None
        except Unreadable as error:
            return self._damaged(arrival, str(error))
        return Received(
            study_uid=StudyUID(arrival.path.parent.name),
            sop_uid=meta.sop_instance_uid,
            facts=facts,
            path=str(arrival.path.relative_to(self._home)),
            sha256=digests.data_set,
            size_bytes=size,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            sop_class_uid=meta.sop_class_uid,
            received_at=meta.received_at,
            association_id=meta.association_id,
            peer=meta.peer or None,
            calling_ae=meta.calling_ae,
            called_ae=meta.called_ae,
            why=why,
            pixels_sha256=digests.pixels,
        )

    def _content(self, arrival: Arrival) -> tuple[InstanceFacts | None, Digests, str]:
        """Facts and digests of a file; without facts, why there are none."""
        try:
            with self._suspects.reading(arrival.name), opened(arrival.path, TAGS) as file:
                return facts_of(file), digests_of(file), ""
        except Unreadable as error:
            return None, Digests(data_set_sha256(arrival.path), None), str(error)

    def _damaged(self, arrival: Arrival, why: str) -> Received:
        """A file whose file meta, which we wrote, cannot be read back: the disk changed it. Its name still tells
        which instance it was."""
        return Received(
            study_uid=StudyUID(arrival.path.parent.name),
            sop_uid=arrival.path.stem.partition("~")[0],
            facts=None,
            path=str(arrival.path.relative_to(self._home)),
            sha256="",
            size_bytes=arrival.path.stat().st_size,
            transfer_syntax_uid="",
            sop_class_uid="",
            received_at=self._clock(),
            association_id="",
            peer=None,
            calling_ae="",
            called_ae="",
            why=f"the file is damaged, look at the disk: {why}",
        )

    def _record(self, batch: Sequence[Received]) -> None:
        now, made = self._clock(), list[Received]()
        with self._ledger.write() as connection:
            known, own = arrivals.known_of(connection, batch), arrivals.own_results_of(connection, batch)
            for one in batch:
                if one.path in known.paths:
                    continue
                if one.facts is not None and one.sop_uid in own:
                    one = replace(one, facts=replace(one.facts, kind=InstanceKind.OWN))  # noqa: PLW2901
                first = None
                if one.sop_uid in known.sop_uids:
                    first = arrivals.first_of(connection, one.study_uid, one.sop_uid)
                known.add(one)
                made.append(one)
                if first is None:
                    arrivals.add_instance(connection, one, Conflict.NONE, now)
                    continue
                conflict, why = compare(first[0], self._home / first[1], one.facts, self._home / one.path)
                arrivals.add_instance(connection, replace(one, why=why), conflict, now)
        for one in made:
            kind = InstanceKind.UNREADABLE if one.facts is None else one.facts.kind
            self._counted(kind.value, one.size_bytes)
