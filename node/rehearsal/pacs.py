"""A stand-in PACS on this machine: takes every kind of object, and misbehaves where it is told to."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseServer
from types import TracebackType
from typing import Self, cast

from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.presentation import AllStoragePresentationContexts, VerificationPresentationContexts, build_context
from pynetdicom.transport import ThreadedAssociationServer

from node.core.identity import ClassUID, InstanceUID, is_uid
from node.rehearsal.conduct import SUCCESS, Breach, Conduct

TRANSFER_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    HTJ2KLossless,
    RLELossless,
)
CANNOT_UNDERSTAND = 0xC000
KEPT = frozenset({SUCCESS, 0xB000, 0xB006, 0xB007})
"""C-STORE statuses with which an instance is kept: success and the warnings (PS3.4 section B.2.3)."""
SERVICE_USER = 0x00
"""Source of an A-ABORT (PS3.8 section 9.3.8)."""
POLL_S = 0.02


@dataclass(frozen=True)
class Arrival:
    """An instance that was kept, as it was sent."""

    sop_instance_uid: InstanceUID
    sop_class_uid: ClassUID
    transfer_syntax_uid: str
    calling_ae_title: str
    path: Path


class StandInPacs:
    """A context manager: listens on the loopback interface from entry to exit; `conduct` may change at any time.

    folder: where instances are kept, made where it is missing. port: 0 for a free one; `port` says which it became.
    """

    def __init__(self, folder: Path, ae_title: str = "PACS", conduct: Conduct | None = None, port: int = 0) -> None:
        self.conduct = conduct or Conduct()
        self.ae_title = ae_title
        self.port = port
        self._folder = folder
        self._changed = threading.Condition()
        self._arrivals: list[Arrival] = []
        self._association_requests = 0
        self._store_requests = 0
        self._closing = threading.Event()
        self._entity = AE(ae_title)
        self._entity.maximum_associations = 100
        self._entity.supported_contexts = [
            build_context(str(one.abstract_syntax), list(TRANSFER_SYNTAXES))
            for one in (*AllStoragePresentationContexts, *VerificationPresentationContexts)
        ]

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """What was kept so far, in the order of arrival."""
        with self._changed:
            return tuple(self._arrivals)

    @property
    def association_requests(self) -> int:
        """How many associations were asked for, refused ones included."""
        with self._changed:
            return self._association_requests

    @property
    def store_requests(self) -> int:
        """How many C-STORE requests came, whatever was answered."""
        with self._changed:
            return self._store_requests

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait until the condition holds; it is asked again whenever something has come.

        Raises TimeoutError, which says what has come by then.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout_s):
                raise TimeoutError(
                    f"after {timeout_s} s {self.ae_title} has seen {self._association_requests} associations and "
                    f"{self._store_requests} C-STORE requests, and kept {len(self._arrivals)} instances"
                )

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server = self._entity.make_server(
            ("127.0.0.1", self.port),
            evt_handlers=[
                (evt.EVT_REQUESTED, self._requested),
                (evt.EVT_ESTABLISHED, self._established),
                (evt.EVT_C_STORE, self._store),
            ],
            server_class=ThreadedAssociationServer,
        )
        self.port = self._server.server_address[1]
        self._listener = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name=f"{self.ae_title} listener"
        )
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # BaseServer's own shutdown: pynetdicom's expects a server that AE.start_server made, which stops more slowly.
        BaseServer.shutdown(self._server)
        self._server.server_close()
        self._listener.join()
        running = self._server.active_associations
        for association in running:
            association.abort()
        self._closing.set()
        for association in running:
            association.join()

    def _requested(self, event: Event) -> None:
        refused, accepts, acceptor = self.conduct.rejection, self.conduct.accepts, event.assoc.acceptor
        if accepts is not None:
            acceptor.supported_contexts = [one for one in acceptor.supported_contexts if one.abstract_syntax in accepts]
        with self._changed:
            self._association_requests += 1
            self._changed.notify_all()
        if refused:
            event.assoc.acse.send_reject(refused.result, refused.source, refused.reason)
            event.assoc.kill()

    def _established(self, event: Event) -> None:
        if self.conduct.breach is Breach.ABORT_AFTER_ASSOCIATION:
            _break_off(event)

    def _store(self, event: Event) -> int:
        conduct, request = self.conduct, cast(C_STORE, event.request)
        status = conduct.status_of.get(str(request.AffectedSOPClassUID), conduct.status)
        if not is_uid(str(request.AffectedSOPInstanceUID)):
            status = CANNOT_UNDERSTAND
        with self._changed:
            self._store_requests += 1
            if conduct.breach is None and status in KEPT:
                self._arrivals.append(self._kept(event, request))
            self._changed.notify_all()
        if conduct.breach is Breach.ABORT_DURING_STORE:
            _break_off(event)
        elif conduct.breach is Breach.NO_ANSWER:
            self._closing.wait()
        return status

    def _kept(self, event: Event, request: C_STORE) -> Arrival:
        """Write the instance, exactly as sent, into a file named by its UID, which was checked."""
        uid = InstanceUID(str(request.AffectedSOPInstanceUID))
        path = self._folder / f"{uid}.dcm"
        path.write_bytes(event.encoded_dataset())
        return Arrival(
            sop_instance_uid=uid,
            sop_class_uid=ClassUID(str(request.AffectedSOPClassUID)),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            calling_ae_title=event.assoc.requestor.ae_title,
            path=path,
        )


def _break_off(event: Event) -> None:
    """Abort from within a callback: Association.abort would leave the association's thread running there."""
    event.assoc.acse.send_abort(SERVICE_USER)
    event.assoc.kill()
