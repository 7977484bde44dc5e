"""Requests to one DICOMweb server, each bounded in time and in the bytes of its answer."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import httpx

from node.sending.association import SLOWEST_LINK_BYTES_PER_S
from node.sending.destination import Destination, WebAddress
from node.sending.outcome import NotReached
from node.sending.web_outcome import BREAKDOWNS, Breakdown


class ExchangeFailed(NotReached):
    """The server could not be asked, or its answer is lost."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, whatever its status. media_type: without parameters, in lower case.

    pause_s: so long the server asks to be left alone.
    """

    status: int
    media_type: str
    payload: bytes
    pause_s: float = 0


@dataclass(frozen=True)
class Body:
    """What a request carries. parts: its bytes in order; length: of all of them; media_type: with parameters."""

    media_type: str
    length: int
    parts: Iterator[bytes]


class Exchange:
    """An asynchronous context manager: one connection, kept for the requests within.

    Follows no redirect and uses no proxy, .netrc or cookie: credentials and images go to the address that is
    configured and nowhere else. Everything raises ExchangeFailed.
    """

    def __init__(self, destination: Destination) -> None:
        if destination.web is None:
            raise ValueError(f"{destination.name} has no url")
        self._destination = destination
        self._web: WebAddress = destination.web
        self._client = httpx.AsyncClient(
            verify=self._web.tls or ssl.create_default_context(),
            timeout=httpx.Timeout(
                connect=destination.connect_timeout_s,
                write=destination.stall_timeout_s,
                read=destination.response_timeout_s,
                pool=destination.connect_timeout_s,
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, path: str, parameters: Mapping[str, str], *, longest: int) -> Reply:
        """Ask for DICOM's JSON model. longest: most bytes that an answer may have."""
        return await self._ask("GET", path, None, parameters, longest)

    async def post(self, path: str, body: Body, *, longest: int) -> Reply:
        """Send a body, and have the answer in DICOM's JSON model."""
        return await self._ask("POST", path, body, {}, longest)

    async def _ask(
        self, method: str, path: str, body: Body | None, parameters: Mapping[str, str], longest: int
    ) -> Reply:
        to = self._destination
        length = body.length if body else 0
        to_send_s = 2 * to.connect_timeout_s + to.stall_timeout_s + length / SLOWEST_LINK_BYTES_PER_S
        is_sent = False
        try:
            async with asyncio.timeout(to_send_s + to.response_timeout_s) as limit:

                async def sent() -> AsyncIterator[bytes]:
                    nonlocal is_sent
                    for part in body.parts if body else ():
                        yield part
                    is_sent = True
                    limit.reschedule(asyncio.get_running_loop().time() + to.response_timeout_s)

                content = sent() if body else None
                headers = self._headers(body)
                url = self._web.url + path
                async with self._client.stream(
                    method, url, params=parameters, headers=headers, content=content
                ) as answer:
                    return await self._reply(answer, longest)
        except TimeoutError as error:
            late = Breakdown.NO_ANSWER if is_sent or body is None else Breakdown.STALLED
            raise self._failed(late) from error
        except httpx.InvalidURL as error:
            raise self._failed(Breakdown.HOST_UNKNOWN) from error
        except httpx.HTTPError as error:
            raise self._failed(_breakdown(error)) from error
        except OSError as error:  # of our file: those of the network are httpx's
            raise self._failed(Breakdown.OWN_FILE) from error

    def _headers(self, body: Body | None) -> dict[str, str]:
        headers = {"Accept": "application/dicom+json", "Accept-Encoding": "identity"}
        if body:
            headers |= {"Content-Type": body.media_type, "Content-Length": str(body.length)}
        try:
            authorization = self._web.authorization()
        except (OSError, UnicodeDecodeError) as error:
            raise self._failed(Breakdown.OWN_SECRET) from error
        return headers | ({"Authorization": authorization} if authorization else {})

    async def _reply(self, answer: httpx.Response, longest: int) -> Reply:
        """An answer that was compressed though we asked for none is not read: it might inflate without end."""
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise self._failed(Breakdown.NOT_HTTP)
        payload = bytearray()
        async for part in answer.aiter_raw():
            payload += part
            if len(payload) > longest:
                raise self._failed(Breakdown.TOO_LARGE)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Reply(answer.status_code, media_type, bytes(payload), _pause_s(answer.headers))

    def _failed(self, why: Breakdown) -> ExchangeFailed:
        return ExchangeFailed(self._destination, BREAKDOWNS[why])


def _pause_s(headers: httpx.Headers) -> float:
    """Retry-After (RFC 9110 section 10.2.3): seconds, or a date, which counts from the server's own; 0 where there is
    none, or none that can be read."""
    given = headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit():
        return float(given)
    try:
        until = parsedate_to_datetime(given)
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return max((until - now).total_seconds(), 0)
    except (ValueError, TypeError, OverflowError):  # of dates that are none, and of one with and one without a zone
        return 0


def _breakdown(error: httpx.HTTPError) -> Breakdown:
    """The table of httpx's errors; what a library underneath raised tells those of connecting apart."""
    causes = list(_causes(error))
    if isinstance(error, httpx.LocalProtocolError):
        return Breakdown.OWN_FILE  # fewer or more bytes than the file's length promised
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Breakdown.CONNECT_TIMEOUT
    if isinstance(error, httpx.WriteTimeout):
        return Breakdown.STALLED
    if isinstance(error, httpx.ReadTimeout):
        return Breakdown.NO_ANSWER
    if isinstance(error, httpx.ConnectError):
        if any(isinstance(one, ssl.SSLError) for one in causes):
            return Breakdown.TLS
        unknown = any(isinstance(one, socket.gaierror | UnicodeError) for one in causes)
        return Breakdown.HOST_UNKNOWN if unknown else Breakdown.UNREACHABLE
    if isinstance(error, httpx.RemoteProtocolError):
        return Breakdown.CLOSED if "disconnected" in str(error) or "closed" in str(error) else Breakdown.NOT_HTTP
    return Breakdown.CLOSED


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
