"""One association that this node requests, over one blocking socket on which every wait is bounded.

No thread, so that no peer can keep the process alive; pynetdicom's requestor has two, polls, counts the time of
sending as time of waiting, and hides why a connection failed.
"""

import contextlib
import os
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import BinaryIO, Self

from node.core.upper_layer import PduType
from node.sending import pdu
from node.sending.destination import Destination, QueryRefused
from node.sending.outcome import INTERRUPTIONS, Interruption, NotReached, of_abort, of_rejection
from node.sending.pdu import Malformed, Tag

LONGEST_PDU_READ = 1 << 20
LONGEST_PDU_SENT = 128 << 10
SLOWEST_LINK_BYTES_PER_S = 4096
"""A peer that takes a data set more slowly is given up: each byte alone would satisfy stall_timeout_s."""
LONGEST_UNSENT = 128 << 10
"""Bytes the kernel may hold back unsent: what it merely buffered is neither progress nor the start of an answer."""
PARTING_TIMEOUT_S = 1.0
"""For what is said to, or heard from, a peer whose association is already lost."""


PENDING = frozenset({0xFF00, 0xFF01})
"""Statuses of C-FIND responses that carry a match (PS3.4 section C.4.1.1.4)."""
MOST_MATCHES = 100_000


class AssociationFailed(NotReached):
    """The association could not be had, or is lost."""


class Association:
    """A context manager: requests the association, releases it at the end, aborts it where an error leaves the block.

    contexts: (abstract syntax, transfer syntax) pairs, each proposed on its own so that the peer cannot choose.
    provided: a SOP class of which we are the provider.
    accepted: presentation context ID by such a pair. refused: PS3.8 result code by pair, None where left unanswered.
    Everything raises AssociationFailed; more than 128 contexts raise ValueError.
    """

    def __init__(
        self, destination: Destination, contexts: Sequence[tuple[str, str]], provided: str | None = None
    ) -> None:
        self._destination = destination
        self._proposed = tuple(contexts)
        self._opening = pdu.associate_request(destination.our_ae_title, destination.ae_title, self._proposed, provided)
        self._fragment_length = 0
        self._last_message_id = 0
        self._fragments: deque[tuple[int, int, bytes]] = deque()
        self.accepted: Mapping[tuple[str, str], int] = {}
        self.refused: Mapping[tuple[str, str], int | None] = {}

    def __enter__(self) -> Self:
        self._socket = self._connected()
        try:
            self._negotiate()
        except AssociationFailed:
            self._abort()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._release()
        else:
            self._abort()

    def request(
        self, context_id: int, command: Mapping[Tag, int | str], data_set: BinaryIO | None = None
    ) -> pdu.Response:
        """Send one DIMSE request and return its response, which may not hold a data set.

        command: without message ID and data set type, which are set here. data_set: encoded, sent from where it
        stands to its end.
        """
        self._ask(context_id, command, data_set)
        response, _ = self._response(context_id)
        if response.has_data_set:
            raise self._failed(Interruption.MALFORMED)
        return response

    def query(self, context_id: int, command: Mapping[Tag, int | str], identifier: BinaryIO) -> list[bytes]:
        """Send one C-FIND request; returns the identifier of each match, encoded. Raises QueryRefused too."""
        self._ask(context_id, command, identifier)
        matches: list[bytes] = []
        while True:
            response, match = self._response(context_id)
            if response.status in PENDING and len(matches) < MOST_MATCHES:
                matches.append(match)
            elif response.status == 0:
                return matches
            else:
                raise QueryRefused(f"{self._destination.name} answered the query with status {response.status!r}")

    def _ask(self, context_id: int, command: Mapping[Tag, int | str], data_set: BinaryIO | None) -> None:
        self._last_message_id = self._last_message_id % 0xFFFF + 1
        kind = pdu.NO_DATA_SET if data_set is None else 0
        numbered = {**command, Tag.MESSAGE_ID: self._last_message_id, Tag.COMMAND_DATA_SET_TYPE: kind}
        encoded = pdu.command_set(numbered)
        stall = self._destination.stall_timeout_s
        for start in range(0, len(encoded), self._fragment_length):
            fragment = encoded[start : start + self._fragment_length]
            last = pdu.LAST_BIT if start + len(fragment) == len(encoded) else 0
            self._send(pdu.p_data(context_id, pdu.COMMAND_BIT | last, fragment), time.monotonic() + stall)
        if data_set is not None:
            self._send_data_set(context_id, data_set)

    def _send_data_set(self, context_id: int, data_set: BinaryIO) -> None:
        start = data_set.tell()
        remaining = data_set.seek(0, os.SEEK_END) - start
        data_set.seek(start)
        deadline = time.monotonic() + self._destination.stall_timeout_s + remaining / SLOWEST_LINK_BYTES_PER_S
        while remaining:
            try:
                fragment = data_set.read(min(self._fragment_length, remaining))
            except OSError as error:
                raise self._failed(Interruption.OWN_FILE) from error
            if not fragment:
                raise self._failed(Interruption.OWN_FILE)
            remaining -= len(fragment)
            self._send(pdu.p_data(context_id, 0 if remaining else pdu.LAST_BIT, fragment), deadline)

    def _response(self, context_id: int) -> tuple[pdu.Response, bytes]:
        """The next response with its data set, which is empty where there is none."""
        deadline = time.monotonic() + self._destination.response_timeout_s
        try:
            response = self._expected(pdu.read_response(self._command(context_id, deadline)))
        except Malformed as error:
            raise self._failed(Interruption.MALFORMED) from error
        return response, self._part(context_id, 0, deadline) if response.has_data_set else b""

    def _command(self, context_id: int, deadline: float) -> bytes:
        return self._part(context_id, pdu.COMMAND_BIT, deadline)

    def _part(self, context_id: int, kind: int, deadline: float) -> bytes:
        """The fragments of one command set or data set, put together."""
        whole = b""
        while True:
            number, control, fragment = self._fragment(deadline)
            if number != context_id or control & pdu.COMMAND_BIT != kind:
                raise self._failed(Interruption.MALFORMED)
            whole += fragment
            if control & pdu.LAST_BIT:
                return whole
            if len(whole) > LONGEST_PDU_READ:
                raise self._failed(Interruption.MALFORMED)

    def _fragment(self, deadline: float) -> tuple[int, int, bytes]:
        while not self._fragments:
            kind, body = self._receive(deadline, Interruption.NO_RESPONSE)
            if kind != PduType.P_DATA_TF:
                raise self._failed(Interruption.MALFORMED)
            try:
                self._fragments.extend(pdu.read_p_data(body))
            except Malformed as error:
                raise self._failed(Interruption.MALFORMED) from error
        return self._fragments.popleft()

    def _expected(self, response: pdu.Response) -> pdu.Response:
        """An answer to another message says nothing about this one."""
        if response.message_id != self._last_message_id:
            raise self._failed(Interruption.OTHER_MESSAGE)
        return response

    def _connected(self) -> socket.socket:
        to = self._destination
        try:
            connection = socket.create_connection((to.host, to.port), to.connect_timeout_s)
        except (socket.gaierror, UnicodeError) as error:
            raise self._failed(Interruption.HOST_UNKNOWN) from error
        except ConnectionRefusedError as error:
            raise self._failed(Interruption.REFUSED) from error
        except TimeoutError as error:
            raise self._failed(Interruption.CONNECT_TIMEOUT) from error
        except OSError as error:
            raise self._failed(Interruption.UNREACHABLE) from error
        _tune(connection, to.stall_timeout_s)
        return connection if to.tls is None else self._secured(connection, to.tls)

    def _secured(self, connection: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        try:
            return tls.wrap_socket(connection, server_hostname=self._destination.host)
        except OSError as error:
            connection.close()
            late = isinstance(error, TimeoutError)
            raise self._failed(Interruption.CONNECT_TIMEOUT if late else Interruption.TLS) from error

    def _negotiate(self) -> None:
        to = self._destination
        deadline = time.monotonic() + to.association_timeout_s
        self._send(self._opening, deadline)
        kind, body = self._receive(deadline, Interruption.NO_ASSOCIATION)
        if kind == PduType.ASSOCIATE_RJ and len(body) >= 4:
            raise AssociationFailed(to, of_rejection(body[1], body[2], body[3]))
        if kind != PduType.ASSOCIATE_AC:
            raise self._failed(Interruption.NOT_DICOM)
        try:
            acceptance = pdu.read_acceptance(body)
        except Malformed as error:
            raise self._failed(Interruption.NOT_DICOM) from error
        # A maximum length counts what follows the PDU's own header: 6 bytes of the value's header and the fragment.
        self._fragment_length = min(acceptance.maximum_length or LONGEST_PDU_SENT, LONGEST_PDU_SENT) - 6
        if self._fragment_length < 1:
            raise self._failed(Interruption.NOT_DICOM)
        answers = {pair: acceptance.contexts.get(2 * number + 1) for number, pair in enumerate(self._proposed)}
        ids = {pair: 2 * number + 1 for number, pair in enumerate(self._proposed)}
        self.accepted = {pair: ids[pair] for pair, answer in answers.items() if answer == (0, pair[1])}
        self.refused = {
            pair: answer[0] if answer else None for pair, answer in answers.items() if pair not in self.accepted
        }

    def _release(self) -> None:
        """Every object was answered by now: a release that fails changes nothing."""
        with contextlib.closing(self._socket), contextlib.suppress(AssociationFailed):
            deadline = time.monotonic() + self._destination.association_timeout_s
            self._send(pdu.RELEASE_REQUEST, deadline)
            kind = None
            while kind not in (PduType.RELEASE_RP, PduType.ABORT):
                kind, _ = self._read(deadline, Interruption.CLOSED)
                if kind == PduType.RELEASE_RQ:
                    self._send(pdu.RELEASE_RESPONSE, deadline)

    def _abort(self) -> None:
        with contextlib.closing(self._socket), contextlib.suppress(OSError):
            self._socket.settimeout(PARTING_TIMEOUT_S)
            self._socket.send(pdu.ABORT)

    def _send(self, message: bytes, deadline: float) -> None:
        rest = memoryview(message)
        while rest:
            try:
                self._limit(min(deadline, time.monotonic() + self._destination.stall_timeout_s))
                rest = rest[self._socket.send(rest) :]
            except TimeoutError as error:
                raise self._failed(Interruption.STALLED) from error
            except OSError as error:
                # It may have said why before it closed.
                self._receive(time.monotonic() + PARTING_TIMEOUT_S, Interruption.CLOSED)
                raise self._failed(Interruption.CLOSED) from error

    def _receive(self, deadline: float, late: Interruption) -> tuple[int, bytes]:
        """The next PDU, where it ends neither the association nor our patience."""
        kind, body = self._read(deadline, late)
        if kind == PduType.ABORT and len(body) >= 4:
            raise AssociationFailed(self._destination, of_abort(body[2], body[3]))
        if kind == PduType.RELEASE_RQ:
            with contextlib.suppress(OSError):
                self._socket.send(pdu.RELEASE_RESPONSE)
            raise self._failed(Interruption.RELEASED)
        return kind, body

    def _read(self, deadline: float, late: Interruption) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._read_exactly(6, deadline, late))
        if kind not in list(PduType) or length > LONGEST_PDU_READ:
            raise self._failed(Interruption.NOT_DICOM)
        return kind, self._read_exactly(length, deadline, late)

    def _read_exactly(self, length: int, deadline: float, late: Interruption) -> bytes:
        data = bytearray()
        while len(data) < length:
            try:
                self._limit(deadline)
                part = self._socket.recv(length - len(data))
            except TimeoutError as error:
                raise self._failed(late) from error
            except OSError as error:
                raise self._failed(Interruption.CLOSED) from error
            if not part:
                raise self._failed(Interruption.CLOSED)
            data += part
        return bytes(data)

    def _limit(self, deadline: float) -> None:
        """Let the next call on the socket last until the deadline. Raises TimeoutError where it has passed."""
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining_s)

    def _failed(self, why: Interruption) -> AssociationFailed:
        return AssociationFailed(self._destination, INTERRUPTIONS[why])


def _tune(connection: socket.socket, stall_timeout_s: float) -> None:
    """Send at once, and have the kernel notice a peer that vanished, such as behind a pulled cable."""
    idle_s = max(1, round(stall_timeout_s / 2))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, idle_s // 4))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stall_timeout_s * 1000))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, LONGEST_UNSENT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
