"""The receiver: listens for associations until it is told to stop."""

import errno
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from node.errors import ConfigurationInvalid
from node.intake.advice import ADVICE, Cause
from node.intake.connection import Connection
from node.intake.desk import Desk, Limits
from node.intake.door import Door
from node.intake.journal import Journal
from node.intake.library import configure_library
from node.intake.tls import Tls
from node.intake.wire import Wire
from node.settings import Configuration
from node.state.seats import Caps, Full, Seat, Seats
from node.state.spool import Spool
from node.state.wake import ARRIVED, Wake

log = structlog.get_logger()

DRAIN_S = 30.0
ABORT_S = 3.0
LIMITS = Limits()
FULL_TOLD_EVERY_S = 10.0
CHANGES_EVERY_S = 1.0
STUCK_AFTER_S = 5.0
"""Whoever accepts comes round every second; a pause of a second or two is the machine's."""


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Listener:
    """Accepts connections on a listening socket, which others may accept from too, and serves each in a thread."""

    def __init__(
        self,
        configuration: Configuration,
        listening: socket.socket,
        home: Path,
        ring: Callable[[], None],
        limits: Limits = LIMITS,
        spool: Spool | None = None,
    ) -> None:
        tls = Tls(configuration.settings.tls) if configuration.settings.tls.is_set else None
        intake = configuration.settings.intake
        self._listening = listening.dup()
        self._listening.setblocking(False)
        self._journal = Journal(home, now)
        self._seats = Seats(home, Caps(intake.associations, intake.associations_per_address))
        self._stopping = threading.Event()
        self._door = Door(spool or Spool(home), intake, ring, self._stopping)
        self._desk = Desk(configuration, home, self._door, self._journal, self._seats, now, limits, tls)
        self._open: dict[threading.Thread, Connection] = {}
        self._lock = threading.Lock()
        self._bell, self._stop_bell = socket.socketpair()
        self._full_told_at = -FULL_TOLD_EVERY_S
        self._came_round_at = time.monotonic()
        self._thread = threading.Thread(target=self._accept_all, name="accept", daemon=True)

    def start(self) -> None:
        """Accept from now on; returns at once."""
        self._thread.start()

    def configure(self, configuration: Configuration) -> None:
        """Take over changed peers; associations that are open go on as they were admitted."""
        self._desk.configure(configuration)

    @property
    def is_accepting(self) -> bool:
        """Whether connections are being accepted, or would be if some came."""
        return self._thread.is_alive() and time.monotonic() - self._came_round_at < STUCK_AFTER_S

    def drain(self, timeout_s: float = DRAIN_S) -> bool:
        """Accept nothing new, and give open associations time to end; instances are answered A700 meanwhile.

        Returns whether all of them ended. New connections wait in the listening socket for the next receiver.
        """
        self._stop_accepting()
        return self._join(timeout_s)

    def stop(self) -> None:
        """Abort what is left, and end."""
        self._stop_accepting()
        for connection in self._connections().values():
            connection.give_up(ADVICE[Cause.STOPPED])
        self._join(ABORT_S)
        self._journal.close()
        self._seats.close()

    def _stop_accepting(self) -> None:
        self._stopping.set()
        self._stop_bell.close()
        self._thread.join()

    def _join(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        for thread in self._connections():
            thread.join(max(0.0, deadline - time.monotonic()))
        return not self._connections()

    def _connections(self) -> dict[threading.Thread, Connection]:
        with self._lock:
            return dict(self._open)

    def _accept_all(self) -> None:
        ready = select.poll()  # select() knows no descriptor above 1023
        ready.register(self._listening, select.POLLIN)
        ready.register(self._bell, select.POLLIN)
        while True:
            self._came_round_at = time.monotonic()
            found = dict(ready.poll(CHANGES_EVERY_S * 1000))
            if self._bell.fileno() in found:
                break
            if found:
                self._accept()
        # No shutdown(): that would end the socket for the supervisor and the other receivers too.
        self._listening.close()
        self._bell.close()

    def _accept(self) -> None:
        try:
            connection, (address, *_) = self._listening.accept()
        except OSError as error:
            # Else another receiver was faster, or the peer has gone already.
            if error.errno in (errno.EMFILE, errno.ENFILE):
                log.warning("no-file-descriptors", why="connections wait until others end; raise the limit of files")
                time.sleep(0.1)  # the connection stays pending: without a pause this would spin
            return
        seat = self._seats.connect(address)
        if isinstance(seat, Full):
            connection.close()
            self._tell_full(address, seat)
            return
        self._serve(connection, seat, address)

    def _serve(self, connection: socket.socket, seat: Seat, address: str) -> None:
        served = Connection(Wire(connection, self._desk.limits.pdu_deadline_s), self._desk, seat, address)
        thread = threading.Thread(target=self._run, args=(served,), name=f"association {address}", daemon=True)
        with self._lock:
            self._open[thread] = served
        try:
            thread.start()
        except RuntimeError as error:  # the system has no room for one more thread
            log.warning("no-threads", why=str(error))
            connection.close()
            self._seats.leave(seat)
            with self._lock:
                del self._open[thread]

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                del self._open[threading.current_thread()]

    def _tell_full(self, address: str, full: Full) -> None:
        """Say it now and then: who knocks without an end must not fill the log."""
        if time.monotonic() - self._full_told_at >= FULL_TOLD_EVERY_S:
            self._full_told_at = time.monotonic()
            log.warning("connection-closed", address=address, why=full.value)


def run_receiver(
    configuration: Configuration,
    listening: socket.socket,
    home: Path,
    stop: threading.Event,
    ready: Callable[[], None],
    spool: Spool | None = None,
    changed: Callable[[], Configuration | None] = lambda: None,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """A receiver process, from its start until `stop` is set; `ready` is called once it answers.

    changed: asked every second for a configuration whose peers are to be taken over; None where none is new. beat:
    called every second as long as connections are accepted.
    """
    spool = spool or Spool(home)
    configure_library()
    raise_file_limit()
    threading.excepthook = _log_fault
    spool.open()
    wake = Wake(home / ARRIVED)
    listener = Listener(configuration, listening, home, wake.ring, spool=spool)
    listener.start()
    ready()
    log.info("receiver-ready", port=listening.getsockname()[1])
    while not stop.wait(CHANGES_EVERY_S):
        if listener.is_accepting:
            beat()
        found = changed()
        if found is not None:
            _take_over(listener, found)
    drained = listener.drain()
    listener.stop()
    wake.close()
    log.info("receiver-stopped", drained=drained)


def _take_over(listener: Listener, configuration: Configuration) -> None:
    try:
        listener.configure(configuration)
        log.info("peers-reloaded", peers=len(configuration.peers))
    except ConfigurationInvalid as error:
        log.warning("peers-unusable", why=f"{error}; the ones before stay in use")


def raise_file_limit() -> None:
    """As many open files as this process may have; what it may have at first is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_fault(fault: threading.ExceptHookArgs) -> None:
    """A thread ended by a fault of ours; its connection is closed, the others go on."""
    log.error(
        "connection-fault",
        thread=fault.thread.name if fault.thread else "",
        exc_info=(fault.exc_type, fault.exc_value, fault.exc_traceback),
    )
