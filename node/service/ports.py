"""Opens a port that the node listens on, or says what keeps it from that."""

import errno
import socket

from node.errors import AlreadyRunning, NotPossible


def open_listening(bind: str, port: int, setting: str) -> socket.socket:
    """A listening socket; setting: which one names the port.

    Raises AlreadyRunning where the port is somebody else's, NotPossible where it cannot be had at all.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((bind, port))
    except OSError as error:
        listening.close()
        kind = AlreadyRunning if error.errno == errno.EADDRINUSE else NotPossible
        raise kind(_why_closed(error, bind, port, setting)) from error
    listening.listen(128)
    return listening


def _why_closed(error: OSError, bind: str, port: int, setting: str) -> str:
    """Why a port cannot be opened, and what to do."""
    if error.errno == errno.EADDRINUSE:
        what = f"another node or server has it; stop that one, or set {setting}"
    elif error.errno in (errno.EACCES, errno.EPERM):
        what = (
            "ports below 1024 are root's: let systemd open it (isocenter.socket, docs/operate/install.md), or set "
            f"{setting} to one from 1024 on"
        )
    else:
        what = f"set {setting.replace('.port', '.bind')} to an address of this machine"
    return f"port {port} on {bind} cannot be opened ({error.strerror}): {what}"
