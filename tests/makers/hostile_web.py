"""Web servers that do to a client whatever they like, one function each; a connection is theirs until they return."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Conduct = Callable[[socket.socket], None]


@contextmanager
def hostile_server(conduct: Conduct) -> Iterator[str]:
    """Its URL, as long as the block lasts; it then loses its connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connections: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connections.append(connection)
                    threading.Thread(target=be_hostile, args=(connection,), daemon=True).start()

        def be_hostile(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                conduct(connection)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/dicom-web"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for one in connections:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def read_request(connection: socket.socket) -> bytes:
    """A whole request: head and as many bytes as it promises."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or _gone()
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
    while left > 0:
        left -= len(connection.recv(65536) or _gone())
    return data


def _gone() -> bytes:
    raise OSError("the client has gone")


def answering(answer: bytes) -> Conduct:
    """Reads every request and answers the same."""

    def conduct(connection: socket.socket) -> None:
        while True:
            read_request(connection)
            connection.sendall(answer)

    return conduct


def never_reads(connection: socket.socket) -> None:
    threading.Event().wait(60)
    connection.close()


def never_answers(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)


def drips(head: bytes, drop: bytes) -> Conduct:
    """Answers so slowly that every single wait is short, and never ends."""

    def conduct(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        while True:
            connection.sendall(drop)
            threading.Event().wait(0.1)

    return conduct


def floods(head: bytes, chunk: bytes) -> Conduct:
    """Answers as fast as it can, and never ends."""

    def conduct(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        while True:
            connection.sendall(chunk)

    return conduct


def closes_after(answer: bytes) -> Conduct:
    def conduct(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return conduct


def resets(connection: socket.socket) -> None:
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
