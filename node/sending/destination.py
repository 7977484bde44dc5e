"""Where results are sent, and the reports that come back from there."""

import base64
import os
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from node.core.forms import Forms
from node.errors import IsocenterError


class QueryRefused(IsocenterError):
    """The peer does not answer the query; the message says what it said."""


@dataclass(frozen=True)
class WebAddress:
    """Where a peer's DICOMweb services are (PS3.18), and what it asks of who calls.

    url: of the services, without a slash at its end. user: for Basic authentication; empty: the secret is a bearer
    token. secret_file, secret_env: where the secret is, read anew at each use because tokens are renewed.
    """

    url: str
    tls: ssl.SSLContext | None = None
    user: str = ""
    secret_file: str = ""
    secret_env: str = ""

    def authorization(self) -> str | None:
        """Value of the Authorization header; never to be logged. Raises OSError where the secret cannot be read."""
        if self.secret_file:
            secret = Path(self.secret_file).read_text(encoding="utf-8").strip()
        elif self.secret_env:
            secret = os.environ.get(self.secret_env, "")
        else:
            return None
        if not secret or not secret.isprintable():
            raise OSError("it holds no secret")
        if not self.user:
            return f"Bearer {secret}"
        return "Basic " + base64.b64encode(f"{self.user}:{secret}".encode()).decode()


EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True)
class Destination:
    """A peer that results are sent to, and how long each wait for it may last.

    syntaxes: UIDs of the transfer syntaxes in which results may go there by C-STORE.
    web: results go there by STOW-RS, and questions by QIDO-RS; without it by C-STORE and C-FIND.

    connect_timeout_s: for TCP, and once more for TLS. association_timeout_s: for the answer to our association
    request, and to its release. response_timeout_s: for the answer to one object after its last byte was sent; slow
    archives commit first. stall_timeout_s: while sending, without a byte taken by the peer.
    """

    name: str
    ae_title: str
    host: str
    port: int
    our_ae_title: str
    tls: ssl.SSLContext | None = None
    connect_timeout_s: float = 10
    association_timeout_s: float = 30
    response_timeout_s: float = 120
    stall_timeout_s: float = 30
    syntaxes: tuple[str, ...] = field(default=(EXPLICIT, IMPLICIT), kw_only=True)
    web: WebAddress | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Terms:
    """What a destination gets, and what may be asked of it.

    forms: the kinds of results that it gets. is_proof_due: whether it is asked if everything arrived,
    is_commitment_asked: by storage commitment, not by a query. is_patient_checked: whether it is asked, before anything
    is sent for the first time, whose study it takes this for. is_told_of_replaced: by a note, which of its objects
    newer ones replaced.
    """

    destination: Destination
    forms: Forms
    is_proof_due: bool = False
    is_commitment_asked: bool = False
    is_patient_checked: bool = False
    is_told_of_replaced: bool = False


@dataclass(frozen=True)
class Parcel:
    """One DICOM file (PS3.10) to send; its identity as the ledger knows it.

    is_replaceable: where it is refused for good, the set is sent in another form: so nothing after it is sent.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    is_replaceable: bool = False


class SendOutcome(str, Enum):
    """What an answer means for a delivery; of a set the last one that an object has counts."""

    ACCEPTED = "accepted"
    """The peer has it."""
    PARKED = "parked"
    """It would be refused again: a person has to change something first."""
    LATER = "later"
    """It may be taken at another time: the same bytes are sent again. A person is asked once nothing can come of that
    any more, so that what is refused for good holds back nothing else."""


@dataclass(frozen=True)
class ObjectOutcome:
    """What became of one parcel.

    status: of the C-STORE response, or of the HTTP response where it went by STOW-RS; None where there was none.
    warning: what a reader of a SEG or SR should know the peer changed. text: what happened, and what to change on which
    side. comment: the peer's own words; they may name a patient, so they are shown to the operator and never logged.
    pause_s: so long the peer asked to be left alone. is_away: nobody was reached there.
    """

    sop_instance_uid: str
    outcome: SendOutcome
    status: int | None
    warning: str | None
    text: str
    comment: str | None = None
    pause_s: float = 0
    is_away: bool = False


@dataclass(frozen=True)
class SendReport:
    """What became of a result set: one ObjectOutcome per parcel, in the parcels' order.

    is_form_refused: a replaceable parcel was refused for good; `objects` is then empty, since none was stored.
    """

    objects: tuple[ObjectOutcome, ...]
    is_form_refused: bool = False

    @property
    def outcome(self) -> SendOutcome:
        """What counts for the set; an empty one is accepted."""
        order = list(SendOutcome)
        return max((one.outcome for one in self.objects), key=order.index, default=SendOutcome.ACCEPTED)

    @property
    def text(self) -> str:
        """One line for a person: how many arrived, and the first object of each other outcome, that which counts
        first."""
        accepted = sum(one.outcome is SendOutcome.ACCEPTED for one in self.objects)
        first = {one.outcome: one.text for one in reversed(self.objects)}
        others = [first[one] for one in (SendOutcome.LATER, SendOutcome.PARKED) if one in first]
        return "; ".join([f"{accepted} of {len(self.objects)} objects accepted", *others])

    @property
    def pause_s(self) -> float:
        """So long the peer asked to be left alone."""
        return max((one.pause_s for one in self.objects), default=0)

    @property
    def is_away(self) -> bool:
        """Whether nobody was reached: unlike where it broke off, or had enough, over what was sent."""
        return any(one.is_away for one in self.objects) and not self.pause_s


@dataclass(frozen=True)
class EchoReport:
    """Whether a destination answers C-ECHO, and in plain words what to mend where it does not."""

    ok: bool
    text: str


@dataclass(frozen=True)
class ProbeReport:
    """Which transfer syntaxes a destination accepts for each SOP class asked for, found by negotiation alone."""

    ok: bool
    text: str
    accepted: tuple[tuple[str, tuple[str, ...]], ...]


class Sender(Protocol):
    """A way to send a result set, such as DIMSE."""

    def send(
        self, destination: Destination, parcels: Sequence[Parcel], already_accepted: Collection[str] = ()
    ) -> SendReport:
        """Send every parcel whose SOP Instance UID is not in already_accepted; bounded in time, never raises for
        anything the peer or the network does. Replaceable parcels come first."""
        ...
