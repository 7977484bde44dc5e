"""Our receiver as a process of its own for benchmarks: `python -m node.bench.receiver HOME LISTENING SYNCS [TLS…]`."""

import signal
import socket
import sys
import threading
from pathlib import Path

from node.intake.listener import run_receiver
from node.logs import configure_logs
from node.settings import Configuration
from node.state.direct import DirectWriter
from node.state.spool import Spool


class CachedWriter(DirectWriter):
    """Writes into the system's cache alone: a direct write waits until the disk has it."""

    def _begin_directly(self) -> None:
        self._is_begun = True


class UnsyncedSpool(Spool):
    """A spool that does not wait for the disk, to compare with servers that never do. The product has no such thing."""

    _writer = CachedWriter

    def _sync(self, descriptor: int) -> None:
        """Nothing."""


def main(arguments: list[str]) -> None:
    """Run until SIGTERM."""
    home, listening, syncs = Path(arguments[0]), socket.socket(fileno=int(arguments[1])), arguments[2] == "1"
    tls = dict(zip(("key", "certificate", "authorities"), arguments[3:], strict=False))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    configure_logs("warning", role="receiver")
    configuration = Configuration.model_validate(
        {
            "settings": {
                "intake": {"unknown_callers": "accept", "disk_reserve_mb": 100, "refuse_associations_mb": 200},
                **({"tls": tls} if tls else {}),
            }
        }
    )
    spool = Spool(home) if syncs else UnsyncedSpool(home)
    run_receiver(configuration, listening, home, stop, lambda: None, spool)


if __name__ == "__main__":
    main(sys.argv[1:])
