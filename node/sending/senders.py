"""How results go to a destination: by STOW-RS where it has a URL, else by C-STORE."""

from node.sending.destination import Destination, EchoReport
from node.sending.dicomweb import StowSender
from node.sending.dimse import DimseSender


def sender_to(destination: Destination) -> DimseSender | StowSender:
    """The sender that serves this kind of destination."""
    return DimseSender() if destination.web is None else StowSender()


def echo(destination: Destination) -> EchoReport:
    """Ask a destination for a sign of life, in the way in which results would go there."""
    return sender_to(destination).echo(destination)
