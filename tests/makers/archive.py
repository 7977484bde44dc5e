"""An archive that commits to storage, in good and in bad ways, on the stack of another maker."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import AllStoragePresentationContexts, build_role
from pynetdicom.ae import ApplicationEntity
from pynetdicom.events import EVT_C_STORE, EVT_N_ACTION, Event

from node.state.transaction import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE


@dataclass
class Archive:
    """What it was asked. outcome: Failure Reason of one instance, 0 where it is committed."""

    port: int = 0
    requests: list[Dataset] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """What its reports were answered."""

    def report_to(
        self,
        port: int,
        request: Dataset,
        outcome: Callable[[str], int] = lambda _uid: 0,
        *,
        calling: str = "PACS",
        transaction: str = "",
        with_role: bool = True,
    ) -> int | None:
        """Report on an association of its own; gives the answer, None where the peer does not take such reports."""
        entity = ApplicationEntity(calling)
        entity.add_requested_context(PUSH_MODEL_CLASS)
        roles = [build_role(PUSH_MODEL_CLASS, scp_role=True)] if with_role else []
        association = entity.associate("127.0.0.1", port, ae_title="ISOCENTER", ext_neg=roles)
        try:
            if not association.accepted_contexts:
                return None
            if not with_role:  # the library would not let us, the network does
                association.accepted_contexts[0]._as_scp = True
            content = report_on(request, outcome, transaction)
            status, _ = association.send_n_event_report(
                content, 2 if "FailedSOPSequence" in content else 1, PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE
            )
            return status.get("Status")
        finally:
            association.release() if association.is_established else association.abort()


def report_on(request: Dataset, outcome: Callable[[str], int], transaction: str = "") -> Dataset:
    content = Dataset()
    content.TransactionUID = transaction or request.TransactionUID
    committed, failed = [], []
    for one in request.ReferencedSOPSequence:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = (
            one.ReferencedSOPClassUID,
            one.ReferencedSOPInstanceUID,
        )
        reason = outcome(str(one.ReferencedSOPInstanceUID))
        if reason:
            item.FailureReason = reason
        (failed if reason else committed).append(item)
    if committed:
        content.ReferencedSOPSequence = committed
    if failed:
        content.FailedSOPSequence = failed
    return content


@contextmanager
def running_archive(
    *, on_action: Callable[[Archive, Event], int] = lambda _archive, _event: 0, commits: bool = True
) -> Iterator[Archive]:
    """An archive that stores everything. on_action: done before a request is answered; gives the status."""
    archive = Archive()
    entity = ApplicationEntity("PACS")
    entity.supported_contexts = AllStoragePresentationContexts
    if commits:
        entity.add_supported_context(PUSH_MODEL_CLASS)

    def act(event: Event) -> tuple[int, None]:
        archive.requests.append(event.action_information)
        return on_action(archive, event), None

    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(EVT_C_STORE, lambda _event: 0), (EVT_N_ACTION, act)]
    )
    archive.port = server.server_address[1]
    try:
        yield archive
    finally:
        server.shutdown()


def report_here(archive: Archive, event: Event, outcome: Callable[[str], int] = lambda _uid: 0, times: int = 1) -> None:
    """Report on the association on which it was asked, once the request is answered."""
    request = event.action_information

    def report() -> None:
        time.sleep(0.2)  # the library has no word for "after my answer has left"
        for _ in range(times):
            content = report_on(request, outcome)
            kind = 2 if "FailedSOPSequence" in content else 1
            status, _ = event.assoc.send_n_event_report(content, kind, PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE)
            archive.answers.append(status.get("Status", -1))

    threading.Thread(target=report, daemon=True).start()
