"""Result sets sent by STOW-RS (PS3.18 section 10.5), one object a request over one connection."""

import asyncio
import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

from node.sending.destination import (
    Destination,
    EchoReport,
    ObjectOutcome,
    Parcel,
    QueryRefused,
    SendOutcome,
    SendReport,
)
from node.sending.outcome import NotReached
from node.sending.parcel import FileUnusable, is_form_refused, opened, outcome_of, whole_report
from node.sending.qido import asked_for_one_study
from node.sending.web import Body, Exchange
from node.sending.web_answer import read_store_answer
from node.sending.web_outcome import Told, Word, of_http, of_store

CHUNK = 128 << 10
LONGEST_ANSWER = 1 << 20
"""An answer names one object and says why: a kilobyte or two."""


class StowSender:
    """Sends by STOW-RS; holds nothing, so one serves every destination and thread.

    Each object is a request of its own: its answer is then about it alone, whatever a server writes into its payload,
    and no more than a chunk of a file is in memory.
    """

    def send(
        self, destination: Destination, parcels: Sequence[Parcel], already_accepted: Collection[str] = ()
    ) -> SendReport:
        """Send what is not yet accepted, in the given order, files as they are stored.

        After the connection is lost, or an answer that is about the server and not the object, the rest has that
        outcome too without being sent. Bounded by the destination's timeouts.
        """
        waiting = [one for one in parcels if one.sop_instance_uid not in already_accepted]
        outcomes = asyncio.run(_stored(destination, waiting)) if waiting else {}
        return whole_report(destination, parcels, waiting, outcomes)

    def echo(self, destination: Destination) -> EchoReport:
        """Ask for one study by QIDO-RS, as DICOMweb has no echo; what is wrong is said in words that name the side."""
        try:
            asked_for_one_study(destination)
        except (NotReached, QueryRefused) as error:
            return EchoReport(False, str(error))
        return EchoReport(True, f"{destination.name} answered QIDO-RS.")


async def _stored(destination: Destination, parcels: Sequence[Parcel]) -> dict[str, ObjectOutcome]:
    """An outcome by SOP Instance UID for each parcel."""
    outcomes: dict[str, ObjectOutcome] = {}
    rest: tuple[SendOutcome, str] | None = None
    async with Exchange(destination) as exchange:
        for parcel in parcels:
            if is_form_refused(parcels, outcomes):
                break
            if rest is None:
                outcomes[parcel.sop_instance_uid], rest = await _store(exchange, destination, parcel)
            else:
                outcomes[parcel.sop_instance_uid] = outcome_of(parcel, *rest)
    return outcomes


async def _store(
    exchange: Exchange, destination: Destination, parcel: Parcel
) -> tuple[ObjectOutcome, tuple[SendOutcome, str] | None]:
    """What became of a parcel, and of all that follow where that is the same."""
    try:
        with opened(parcel) as file:
            reply = await exchange.post("/studies", _multipart(file), longest=LONGEST_ANSWER)
    except FileUnusable as error:
        return outcome_of(parcel, SendOutcome.PARKED, str(error)), None
    except NotReached as failure:
        rest = failure.answer.outcome, str(failure)
        return outcome_of(parcel, *rest, is_away=failure.answer.is_away), rest
    row = of_http(reply.status)
    told = read_store_answer(reply, parcel.sop_instance_uid) if row.tells else Told(Word.NOTHING)
    answer = of_store(reply.status, told)
    text = answer.text(destination) + (f" (HTTP {reply.status}{_reason(told)})" if reply.status != 200 else "")
    is_changed = answer.outcome is SendOutcome.ACCEPTED and told.word is Word.STORED and bool(told.reason)
    outcome = outcome_of(
        parcel,
        answer.outcome,
        text,
        status=reply.status,
        is_changed=is_changed,
        pause_s=reply.pause_s,
        is_away=answer.is_away,
    )
    return outcome, (answer.outcome, text) if row.ends else None


def _reason(told: Told) -> str:
    return "" if told.reason is None else f", reason {told.reason:04X}"


def _multipart(file: BinaryIO) -> Body:
    """One file as multipart/related (PS3.18 section 8.6.1.2), read while it is sent."""
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    length = file.seek(0, os.SEEK_END)
    file.seek(0)

    def parts() -> Iterator[bytes]:
        yield head
        while chunk := file.read(CHUNK):
            yield chunk
        yield tail

    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return Body(kind, len(head) + length + len(tail), parts())
