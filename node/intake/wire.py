"""One connection: reads whole PDUs within deadlines and bounds, and ends so that the peer hears the last word."""

import select
import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import Final

from node.intake.advice import Cause, advised
from node.intake.pdu import HEAD, Breach

BUFFER_BYTES: Final = 1 << 18
"""One buffer per connection; an idle one touches little of it."""
LINGER_S = 2.0
LINGER_BYTES = 1 << 26
SEND_TIMEOUT_S = 30.0
STEP_S = 2.0
"""Longer waits are made of such steps, so that the socket's own timeout hardly ever changes: that is a system call."""
_TIMEVAL = struct.Struct("ll")
_TIMED_OUT = (TimeoutError, BlockingIOError)
"""What a call raises after a timeout of Python's, and after one of the system's."""


class Ended(Exception):
    """The connection is over: the peer closed it, or let a deadline pass. The message is empty for a plain close."""

    def __init__(self, why: str = "", cause: Cause = Cause.BROKEN) -> None:
        super().__init__(advised(why, cause) if why else "")
        self.cause = cause


class Wire:
    """Reads and writes one connection, from one thread. `interrupt` alone may be called from another."""

    def __init__(
        self, connection: socket.socket, pdu_deadline_s: float, send_timeout_s: float = SEND_TIMEOUT_S
    ) -> None:
        self._socket = connection
        self._pdu_deadline_s = pdu_deadline_s
        self._send_timeout_s = send_timeout_s
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._timeout_s: float | None = -1.0
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def speaks_tls(self, timeout_s: float) -> bool:
        """Whether the peer's first byte opens a TLS handshake (RFC 8446 section 5.1). Raises Ended without one."""
        self._set_timeout(timeout_s)
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except OSError:
            first = b""
        if not first:
            raise Ended
        return first == b"\x16"

    def secure(self, context: ssl.SSLContext, timeout_s: float) -> ssl.SSLSocket:
        """Shake hands. Raises Ended where this fails."""
        try:
            secured = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
            self._socket = secured
            secured.settimeout(timeout_s)
            self._timeout_s = timeout_s
            secured.do_handshake()
        except TimeoutError as error:
            raise Ended(f"the TLS handshake was not done within {timeout_s:g} s", Cause.TLS_SLOW) from error
        except (OSError, ValueError) as error:  # a reset before the wrapping is a ValueError
            raise Ended(f"the TLS handshake failed ({_tls_reason(error)})", Cause.TLS) from error
        return secured

    def read_pdu(self, *, wait_s: float, largest: int) -> tuple[int, memoryview]:
        """Type and body of the next PDU; the body is valid until the next call.

        Its first byte may take `wait_s`, the rest has its deadline. Raises Ended; Breach where it is longer than
        `largest`, which is refused unread.
        """
        self._fill(HEAD.size, wait_s)
        kind, length = HEAD.unpack_from(self._buffer, self._start)
        if length > largest:
            why = f"a PDU of {length} bytes is longer than the {largest} that are taken"
            raise Breach(why, cause=Cause.PDU_TOO_LONG)
        self._fill(HEAD.size + length, wait_s)
        body = self._view[self._start + HEAD.size : self._start + HEAD.size + length]
        self._start += HEAD.size + length
        return kind, body

    def peer_was_early(self) -> int | None:
        """First byte of what the peer sent without waiting for our answer, 0 where it closed; None where it waits."""
        if self._start < self._end:
            return self._buffer[self._start]
        self._set_timeout(0)
        try:
            self._end = self._start + self._socket.recv_into(self._view[self._start :])
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            return 0
        return self._buffer[self._start] if self._start < self._end else 0

    def has_input(self, wait_s: float) -> bool:
        """Whether something of the peer is there to be read, its end included; waits for so long."""
        if self._start < self._end or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        ready = select.poll()  # select() knows no descriptor above 1023
        ready.register(self._socket, select.POLLIN)
        return bool(ready.poll(wait_s * 1000))

    def send(self, content: bytes) -> None:
        """Send all of it. Raises Ended where the peer does not take it in time, or is gone."""
        rest, deadline = memoryview(content), time.monotonic() + self._send_timeout_s
        while rest:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise Ended(f"the peer did not take the answer within {self._send_timeout_s:g} s", Cause.DEAF)
            self._set_timeout(min(left_s, STEP_S))
            try:
                rest = rest[self._socket.send(rest) :]
            except _TIMED_OUT:
                continue  # the deadline decides
            except OSError as error:
                raise Ended("the connection broke before the answer was sent", Cause.DEAF) from error

    def interrupt(self) -> None:
        """Let the reading thread see an end of the stream; what it is doing it finishes first."""
        with suppress(OSError):  # the plain socket's shutdown: that of a TLS socket is not for other threads
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def close(self, last_word: bytes = b"") -> None:
        """Say the last word, and give the peer a moment to hear it: closing on unread data would take it back."""
        with suppress(OSError):
            self._set_timeout(LINGER_S)
            if last_word:
                self._socket.sendall(last_word)
                self._linger()
        self._socket.close()

    def _linger(self) -> None:
        """Wait until the peer closes, as state 13 of PS3.8 section 9.2 has it; drop what it still sends."""
        deadline, left = time.monotonic() + LINGER_S, LINGER_BYTES
        while left > 0 and (left_s := deadline - time.monotonic()) > 0:
            self._set_timeout(left_s)
            got = self._socket.recv_into(self._view)
            if not got:
                return
            left -= got

    def _fill(self, size: int, wait_s: float) -> None:
        """Have `size` bytes in the buffer, from `_start` on."""
        if self._end - self._start >= size:
            return
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start + size > BUFFER_BYTES:
            rest = self._buffer[self._start : self._end]
            self._start, self._end = 0, len(rest)
            self._view[: self._end] = rest
        if self._end == self._start:
            self._read_some(wait_s, f"nothing came for {wait_s:g} s", Cause.IDLE)
        deadline = time.monotonic() + self._pdu_deadline_s
        while (have := self._end - self._start) < size:
            why = f"a PDU ended, or stayed out, after {have} of {size} bytes"
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise Ended(why, Cause.STALLED)
            self._read_some(left_s, why, Cause.STALLED)

    def _set_timeout(self, timeout_s: float) -> None:
        if timeout_s == self._timeout_s:
            return
        self._timeout_s = timeout_s
        if timeout_s == 0 or isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(timeout_s)
            return
        # The system's own timeouts: with one of Python's, each call is two, and gives the interpreter away twice.
        seconds, part = divmod(timeout_s, 1)
        limit = _TIMEVAL.pack(int(seconds), max(int(part * 1e6), int(not seconds)))  # zero would be no limit at all
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def _read_some(self, timeout_s: float, why: str, cause: Cause) -> None:
        within, left_s, got = self._end > self._start, timeout_s, -1
        while got < 0:
            self._set_timeout(min(left_s, STEP_S))
            try:
                got = self._socket.recv_into(self._view[self._end :])
            except _TIMED_OUT as error:
                left_s -= STEP_S
                if left_s <= 0:
                    raise Ended(why, cause) from error
            except OSError as error:
                raise Ended(why if within else "the connection broke") from error
        if not got:
            raise Ended(why if within else "", cause)
        self._end += got


def _tls_reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or getattr(error, "verify_message", "") or error)[:100]
