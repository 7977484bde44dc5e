"""Association requests and data as bare bytes, malformed ones too; no library stands between a test and the wire."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.makers.elements import CT_IMAGE, EXPLICIT
from tests.makers.receiver import Door


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def value(content: bytes, *, context: int = 1, control: int = 3, length: int | None = None) -> bytes:
    return struct.pack(">IBB", len(content) + 2 if length is None else length, context, control) + content


def sub_item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def proposed(number: int, abstract: str, syntaxes: list[str]) -> bytes:
    inner = sub_item(0x30, abstract.encode()) + b"".join(sub_item(0x40, one.encode()) for one in syntaxes)
    return sub_item(0x20, bytes([number, 0, 0, 0]) + inner)


def request(
    contexts: bytes | None = None, *, calling: bytes = b"SENDER", called: bytes = b"ISOCENTER", more: bytes = b""
) -> bytes:
    """An A-ASSOCIATE-RQ; `more`: sub-items of the user information."""
    user = sub_item(0x51, struct.pack(">I", 16384)) + sub_item(0x52, b"1.2.3") + more
    body = struct.pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    contexts = proposed(1, CT_IMAGE, [EXPLICIT]) if contexts is None else contexts
    return pdu(1, body + sub_item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + sub_item(0x50, user))


@contextmanager
def connected(door: Door) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as one:
        yield one


@contextmanager
def accepted(door: Door, asked: bytes | None = None) -> Iterator[socket.socket]:
    """A bare connection on which an association was accepted."""
    with connected(door) as one:
        one.sendall(asked or request())
        kind, length = struct.unpack(">BxI", one.recv(6, socket.MSG_WAITALL))
        assert kind == 2
        one.recv(length, socket.MSG_WAITALL)
        yield one


def rejection(door: Door, asked: bytes) -> tuple[int, int, int]:
    """Result, source and reason of the A-ASSOCIATE-RJ to a request."""
    with connected(door) as one:
        one.sendall(asked)
        kind, _, _, result, source, reason = struct.unpack(">BxIBBBB", one.recv(10, socket.MSG_WAITALL))
        assert kind == 3
        return result, source, reason
