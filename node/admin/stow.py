"""STOW-RS (PS3.18 10.5): reads instances out of a multipart request as it comes, and tells what became of each."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Protocol
from xml.etree import ElementTree as ET

from fastapi import FastAPI, Header, Request, Response
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from node.core.identity import is_uid
from node.core.stow import End, Stored, http_status
from node.errors import Busy, NodeDraining, SpoolFull

PREFIX = "/dicom-web/"
STALL_S, PACE_BYTES = 30.0, 1 << 16
"""So long a request is waited for until so much of it has come, and then anew: a sender that is silent, or all but
silent, keeps its place from others no longer."""
REQUESTS = 16
"""As many are served at the same time; more are asked to come back."""
BUSY_RETRY_S, RETRY_S = "10", "60"
"""After so long a sender is asked to come back: when others are served, and when the node cannot take anything."""
MOST_PARTS = 50_000
MOST_PREAMBLE_BYTES = 16_384
"""So much may stand before the first boundary, where a multipart body may say something to people (RFC 2046 5.1.1)."""
JSON, XML = "application/dicom+json", "application/dicom+xml"
REFERENCED, FAILED, OTHERS = "00081199", "00081198", "0008119A"
SOP_CLASS, SOP_INSTANCE, REASON, RETRIEVE = "00081150", "00081155", "00081197", "00081190"
KEYWORDS = {
    RETRIEVE: "RetrieveURL",
    REFERENCED: "ReferencedSOPSequence",
    FAILED: "FailedSOPSequence",
    OTHERS: "OtherFailuresSequence",
    SOP_CLASS: "ReferencedSOPClassUID",
    SOP_INSTANCE: "ReferencedSOPInstanceUID",
    REASON: "FailureReason",
}
"""Of the answer's data set (PS3.18 table I.1-1)."""

Element = dict[str, tuple[str, list[str | int]]]
"""VR and values by tag."""

NO_URL: Element = {RETRIEVE: ("UR", [])}
"""What is stored cannot be retrieved here: Retrieve URL is of type 2, in the study and in each instance."""


class Reception(Protocol):
    """Where the instances of one request go: begin, write as often as bytes come, end; and close in the end."""

    stored: list[Stored]

    def begin(self) -> None: ...

    def write(self, chunk: bytes) -> None: ...

    def end(self) -> None: ...

    def close(self, end: End) -> None: ...


Open = Callable[[str, str, str], Reception | None]
"""Token, address of the caller, and the only study it may bring or ""; None where nobody has that token."""


class Malformed(Exception):
    """The body is not what its Content-Type says."""


def stow_app(open_reception: Open) -> FastAPI:
    """The service, for whoever has a peer's token."""
    app = FastAPI(title="Isocenter STOW-RS", docs_url=None, redoc_url=None, openapi_url=None)
    places = asyncio.Semaphore(REQUESTS)

    @app.post(f"{PREFIX}studies")
    @app.post(f"{PREFIX}studies/{{study_uid}}")
    async def store(
        request: Request,
        study_uid: str = "",
        authorization: Annotated[str, Header()] = "",
        content_type: Annotated[str, Header()] = "",
        content_encoding: Annotated[str, Header()] = "",
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        part = options.get(b"type", b"application/dicom")
        if kind != b"multipart/related" or part.lower() != b"application/dicom":
            return _told(415, 'send multipart/related; type="application/dicom"')
        if content_encoding.strip().lower() not in ("", "identity"):
            why = "the body is compressed: send it without Content-Encoding"
            return _told(415, why, {"Accept-Encoding": "identity"})
        if not boundary or (study_uid and not is_uid(study_uid)):
            return _told(400, "the boundary is missing, or the study's UID is none")
        if places.locked():
            return _told(503, "too many requests are being served: send again later", {"Retry-After": BUSY_RETRY_S})
        async with places:
            address = request.client.host if request.client else ""
            try:
                reception = await run_in_threadpool(open_reception, _bearer(authorization), address, study_uid)
            except (Busy, NodeDraining, SpoolFull) as later:
                return _told(503, str(later), {"Retry-After": BUSY_RETRY_S if isinstance(later, Busy) else RETRY_S})
            if reception is None:
                why = "no peer has this token, or it may not call from there"
                return _told(401, why, {"WWW-Authenticate": "Bearer"})
            end = End.BROKEN_OFF
            try:
                await _receive(request, boundary, reception)
                end = End.WHOLE
            except TimeoutError:
                return _told(408, f"less than {PACE_BYTES >> 10} KiB came within {STALL_S:g} s: send again, and faster")
            except (Malformed, ClientDisconnect) as fault:
                end = End.MALFORMED if isinstance(fault, Malformed) else End.BROKEN_OFF
                return _told(400, "the body broke off, or is not what its Content-Type says")
            finally:
                await run_in_threadpool(reception.close, end)
        return _answered(reception.stored, accept)

    return app


async def _receive(request: Request, boundary: bytes, reception: Reception) -> None:
    """Pass the parts on as they come, never holding more than a piece.

    Raises Malformed, TimeoutError or ClientDisconnect.
    """
    parts = _Parts(boundary, reception)
    pieces = request.stream().__aiter__()
    left_s, came_bytes = STALL_S, 0
    while True:
        begun_s = time.monotonic()
        try:
            async with asyncio.timeout(left_s):
                piece = await anext(pieces)
        except StopAsyncIteration:
            break
        left_s -= time.monotonic() - begun_s  # our own disk's slowness is not the sender's
        came_bytes += len(piece)
        if came_bytes >= PACE_BYTES:
            left_s, came_bytes = STALL_S, 0
        await run_in_threadpool(parts.feed, piece)
    parts.finish()


class _Parts:
    """The parser's events as calls of a reception."""

    def __init__(self, boundary: bytes, reception: Reception) -> None:
        self._reception, self._count, self._is_whole = reception, 0, False
        self._first = re.compile(rb"(?:\A|\r\n)(--" + re.escape(boundary) + rb")(?:[ \t]*(\r\n)|--)")
        self._preamble: bytearray | None = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_part_data": lambda data, start, end: reception.write(data[start:end]),
                    "on_part_end": reception.end,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise Malformed from error

    def feed(self, piece: bytes) -> None:
        if self._preamble is not None:
            piece = self._begun(self._preamble, piece)
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise Malformed from error

    def _begun(self, preamble: bytearray, piece: bytes) -> bytes:
        """What the parser is to have of the body: nothing before the first boundary, for that is all it understands."""
        preamble += piece
        first = self._first.search(preamble)
        if (len(preamble) if first is None else first.start()) > MOST_PREAMBLE_BYTES:
            raise Malformed
        if first is None:
            return b""
        self._preamble = None
        return first[1] + (first[2] or b"--") + bytes(preamble[first.end() :])

    def finish(self) -> None:
        """The body has ended; without its last boundary it was cut off."""
        if not self._is_whole:
            raise Malformed

    def _begin(self) -> None:
        self._count += 1
        if self._count > MOST_PARTS:
            raise Malformed
        self._reception.begin()

    def _end(self) -> None:
        self._is_whole = True


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _told(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return Response(f"{why}\n", status, headers, "text/plain")


def _answered(stored: Sequence[Stored], accept: str) -> Response:
    """The data set that says what became of each instance, as the sender wants to have it."""
    sequences: dict[str, list[Element]] = {}
    for one in stored:
        sequences.setdefault(_sequence(one), []).append(_item(one))
    sequences = dict(sorted(sequences.items()))
    status = http_status(stored)
    headers = {"Retry-After": RETRY_S} if status == 503 else None
    if XML in accept and JSON not in accept:
        return Response(_xml(sequences), status, headers, XML)
    told = {tag: {"vr": "SQ", "Value": [_json(one) for one in items]} for tag, items in sequences.items()}
    return Response(json.dumps({**_json(NO_URL), **told}), status, headers, JSON)


def _sequence(one: Stored) -> str:
    """Where it is told of: what failed and could not even be named stands apart."""
    if not one.failure:
        return REFERENCED
    return FAILED if is_uid(one.sop_class_uid) and is_uid(one.sop_uid) else OTHERS


def _item(one: Stored) -> Element:
    named: Element = {SOP_CLASS: ("UI", [one.sop_class_uid]), SOP_INSTANCE: ("UI", [one.sop_uid])}
    reason: Element = {REASON: ("US", [one.failure])}
    return {REFERENCED: {**named, **NO_URL}, FAILED: {**named, **reason}, OTHERS: reason}[_sequence(one)]


def _json(item: Element) -> dict[str, dict[str, str | list[str | int]]]:
    """PS3.18 section F.2: an element without a value has no Value."""
    return {tag: {"vr": vr, "Value": value} if value else {"vr": vr} for tag, (vr, value) in item.items()}


def _xml(sequences: dict[str, list[Element]]) -> bytes:
    """PS3.19 section A.1."""
    model = ET.Element("NativeDicomModel", {"xml:space": "preserve"})
    _add_elements(model, NO_URL)
    for tag, items in sequences.items():
        sequence = ET.SubElement(model, "DicomAttribute", _named(tag, "SQ"))
        for number, one in enumerate(items, 1):
            _add_elements(ET.SubElement(sequence, "Item", {"number": str(number)}), one)
    return bytes(ET.tostring(model, "utf-8", xml_declaration=True))


def _add_elements(to: ET.Element, elements: Element) -> None:
    for key, (vr, values) in elements.items():
        attribute = ET.SubElement(to, "DicomAttribute", _named(key, vr))
        for number, value in enumerate(values, 1):
            ET.SubElement(attribute, "Value", {"number": str(number)}).text = str(value)


def _named(tag: str, vr: str) -> dict[str, str]:
    return {"tag": tag, "vr": vr, "keyword": KEYWORDS[tag]}
