"""What to do about an association that did not end as it should, and on which side: one line for each kind of end."""

from enum import Enum


class Cause(str, Enum):
    """Why an association was turned away, or ended without a release."""

    PROTOCOL = "protocol"
    NO_ASSOCIATION = "no-association"
    NOT_WAITING = "not-waiting"
    NOT_SERVED = "not-served"
    MAY_NOT_SEND = "may-not-send"
    NOTHING_TAKEN = "nothing-taken"
    TOO_LARGE = "too-large"
    MESSAGE_TOO_LARGE = "message-too-large"
    NOT_MULTIPART = "not-multipart"
    PDU_TOO_LONG = "pdu-too-long"
    IDLE = "idle"
    STALLED = "stalled"
    CLOSED = "closed"
    BROKEN = "broken"
    DEAF = "deaf"
    TLS = "tls"
    TLS_SLOW = "tls-slow"
    BY_APPLICATION = "by-application"
    BY_DICOM_LAYER = "by-dicom-layer"
    STOPPED = "stopped"


_SENDER_DOES = "the sender's software does not keep to DICOM: "
ADVICE: dict[Cause, str] = {
    Cause.PROTOCOL: _SENDER_DOES + "report this line to its vendor",
    Cause.NO_ASSOCIATION: "what called is no DICOM sender, or speaks TLS though tls.certificate is not set here: "
    "correct host and port in what calls, or set up TLS in node.toml",
    Cause.NOT_WAITING: _SENDER_DOES + "it must wait for the acceptance; report this line to its vendor",
    Cause.NOT_SERVED: "let the sender use C-ECHO, C-STORE and what docs/conformance.md lists, and nothing else of this "
    "node",
    Cause.MAY_NOT_SEND: "add source to the peer's roles in peers.toml, or let it not send here",
    Cause.NOTHING_TAKEN: "let the sender send only the kinds of objects and transfer syntaxes that docs/conformance.md "
    "lists",
    Cause.TOO_LARGE: "raise intake.max_instance_mb in node.toml, or let the sender leave such instances out",
    Cause.MESSAGE_TOO_LARGE: "let the sender ask for fewer instances at a time",
    Cause.NOT_MULTIPART: "let the sender post multipart/related with the boundary that its Content-Type names, not "
    "compressed; if it does, report this line to its vendor",
    Cause.PDU_TOO_LONG: "set the sender's PDU length to 131072 or less; if it is, report this line to its vendor",
    Cause.IDLE: "nothing is to be done where all was sent; else let the sender release its associations, or see in its "
    "log why it stopped",
    Cause.STALLED: "the sender stopped in the middle, or the network lost it: look into its log, and at firewalls and "
    "cables between; it must send again what was not acknowledged",
    Cause.CLOSED: "the sender closed its connection without releasing the association: its own log says why",
    Cause.BROKEN: "the connection was cut: look whether the sender was restarted, and at firewalls between that end "
    "long connections; it must send again what was not acknowledged",
    Cause.DEAF: "the sender did not take the answer: look into its log; it must send again what was not acknowledged",
    Cause.TLS: "let each side trust the authority of the other's certificate, see that both are in date, and that the "
    "sender speaks TLS 1.2 or later (tls.authorities in node.toml is what this node trusts)",
    Cause.TLS_SLOW: "the sender began TLS and stopped: look into its log, and at the network between",
    Cause.BY_APPLICATION: "the sender did not want to go on: its own log says why",
    Cause.BY_DICOM_LAYER: "the sender's DICOM layer did not want to go on: its own log says why; if it blames this "
    "node, report both to us",
    Cause.STOPPED: "the node was stopped: it goes on when the node runs again, and the sender sends the rest",
}
"""In the words of the list that `isocenter associations` shows; one for each Cause."""


def advised(what: str, cause: Cause) -> str:
    """What happened, and what to do."""
    return f"{what}: {ADVICE[cause]}" if what else ADVICE[cause]
