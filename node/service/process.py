"""Entry of one process of the node: `python -m node.service.process ROLE SLOT LINE [LISTENING or PRINTING]`."""

import gc
import os
import resource
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import structlog

from node.configuration import read_configuration
from node.errors import IsocenterError
from node.logs import configure_logs
from node.service.isolation import leave_network, needs_network
from node.service.renewal import READ_BY, Tables, Watch, follow
from node.settings import Configuration

log = structlog.get_logger()

SPARE_FILES = 32
"""A model worker needs so many besides those that its models keep."""


class Line:
    """The process's end of the line to the supervisor: says "ready", and tells when the supervisor is gone."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._socket, self._stop = socket.socket(fileno=descriptor), stop
        self._inode = os.fstat(descriptor).st_ino
        threading.Thread(target=self._watch, name="supervisor-line", daemon=True).start()

    def ready(self) -> None:
        gc.freeze()  # what was loaded stays for good: the collector need not look through it again and again
        gc.enable()
        self._socket.sendall(b"ready ")

    def beat(self) -> None:
        """It is ready still. A supervisor that does not listen keeps nobody waiting."""
        with suppress(OSError):
            self._socket.send(b"ready ", socket.MSG_DONTWAIT)

    def check(self) -> None:
        """End at once where the line was closed, or where no files are left to open.

        Who closed it has closed the ledger's files too, and what is opened next gets their numbers: facts would be
        written into other files. Without files the ledger can be told nothing, and the process would wait for ever.
        """
        with suppress(OSError):
            is_open = os.fstat(self._socket.fileno()).st_ino == self._inode
            count = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a path for each would be made for nothing
            if is_open and count + SPARE_FILES <= resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
                return
        with suppress(OSError):
            os.write(2, b"\nthe model closed what is not its own, or used up the files that its process may open\n")
        os._exit(1)

    def renewing(self) -> None:
        """It ends by itself, to be started again at once. What it is doing is finished as at any stop; whatever is not
        finished is taken up again."""
        with suppress(OSError):
            self._socket.sendall(b"renewing ")

    def hear_signals(self) -> None:
        """From here on SIGTERM stops the process, through a thread: what it interrupts may hold the lock of `stop`."""
        signal.signal(signal.SIGTERM, lambda *_: self._socket.shutdown(socket.SHUT_RD))

    def _watch(self) -> None:
        """The supervisor never writes: the end of the line means that it died, and nobody is left to start us again.
        Where it had not heard all that was said, the line ends with an error."""
        with suppress(ConnectionError):
            self._socket.recv(1)
        self._stop.set()


def main(arguments: list[str], log_to: TextIO | None = None) -> None:
    """Run one role until SIGTERM, or until the supervisor is gone.

    Each role imports its own parts alone: the receiver answers its first C-ECHO before the database's libraries
    are even loaded, and no process carries what another one needs.
    """
    role, slot, line_descriptor = arguments[0], int(arguments[1]), int(arguments[2])
    gc.disable()  # while modules are loaded, which takes a tenth longer with a collector that finds nothing
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the supervisor stops us in order
    folder = Path(os.environ["ISOCENTER_CONFIG"])
    configuration = read_configuration(folder)
    names: list[str | Path] = [*READ_BY[role], *_certificates(role, configuration)]
    models = None if role == "receiver" else configuration.models
    watch = Watch(folder, names, _judge_of(role), models)
    configure_logs(configuration.settings.log.level, role=role, to=log_to)
    if role == "model":  # before any thread is started
        state = configuration.settings.state
        alone = not needs_network(state.database_url) and leave_network()
        log.info("model-network", reachable=not alone)
    line = Line(line_descriptor, stop)
    line.hear_signals()
    if role == "receiver":
        _receive(configuration, int(arguments[3]), line, stop, watch)
        return

    if role == "service":
        from node.service.serving import run_service

        present, certificates = configuration, _certificates(role, configuration)

        def take_over(found: Configuration) -> None:
            """Peers and routes; for other models or certificates it starts again. node.toml holds until then."""
            nonlocal present
            if watch.are_models_replaced or _certificates(role, found) != certificates:
                line.renewing()
                stop.set()
            else:
                present = found.model_copy(update={"settings": configuration.settings})

        follow(watch, take_over, stop)
        with socket.socket(fileno=int(arguments[3])) as listening:
            run_service(configuration, folder, slot, listening, line.ready, stop, lambda: present)
    else:
        _work(configuration, role, slot, line, stop, watch)


def _work(configuration: Configuration, role: str, slot: int, line: Line, stop: threading.Event, watch: Watch) -> None:
    tables = Tables(configuration)

    def take(found: Configuration) -> None:
        """Jobs go on, and models stay warm, unless it is models that were replaced: then it ends as at any stop."""
        if watch.are_models_replaced:
            line.renewing()
            stop.set()
        tables.take(found)

    def ready() -> None:
        line.hear_signals()  # a model's libraries may have set handlers of their own
        line.ready()

    def renew() -> None:
        line.renewing()
        os._exit(0)

    follow(watch, take, stop)
    if role == "model":
        from node.service.model_worker import run_model

        run_model(configuration, tables, slot, ready, stop, renew, line.check)
    else:
        from node.service.cpu_worker import run_worker

        run_worker(configuration, tables, slot, ready, stop)


def _judge_of(role: str) -> Callable[[Configuration], None] | None:
    """What the service needs besides files that are well formed; the others need no more."""
    if role != "service":
        return None
    from node.service.routed import Judge

    return Judge()


def _certificates(role: str, configuration: Configuration) -> tuple[Path, ...]:
    """What the service works with until its end; the receiver looks at its own anew."""
    if role != "service":
        return ()
    from node.state.certificates import files_in_use

    return files_in_use(configuration)


def _receive(configuration: Configuration, listening: int, line: Line, stop: threading.Event, watch: Watch) -> None:
    from node.intake.listener import run_receiver

    with socket.socket(fileno=listening) as listening_socket:
        home = configuration.settings.state.home.absolute()
        run_receiver(configuration, listening_socket, home, stop, line.ready, changed=watch.changed, beat=line.beat)


def run(arguments: list[str]) -> int:
    """Run one role, and say in one line of the log what kept it from that; returns the exit code."""
    log_to = None
    if arguments[0] == "model":
        from node.jobs.printing import print_apart

        log_to = print_apart(int(arguments[3]))
        _clear_temporary()
    configure_logs("info", role=arguments[0], to=log_to)
    try:
        main(arguments, log_to)
    except IsocenterError as error:
        log.error("process-unable", why=str(error))  # noqa: TRY400  the words say it; a traceback hides them
        return 1
    except OSError as error:
        if error.filename is None:  # of nothing that a person could look at
            raise
        words = f"{error.filename}: {error.strerror}: look who owns it and whether its disk can be written"
        log.error("process-unable", why=words)  # noqa: TRY400  as above
        return 1
    return 0


def _clear_temporary() -> None:
    """What a model leaves there would stay for good: the folder is this process's own, which others before it had."""
    folder = Path(os.environ["TMPDIR"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, exist_ok=True)


if __name__ == "__main__":
    code = run(sys.argv[1:])
    if sys.argv[1] == "model":
        _clear_temporary()
        os._exit(code)  # Python would wait for every thread that a model has left running
    sys.exit(code)
