"""How fast the operator's window answers on a ledger that is full: each page's time, and what watching costs."""

import http.client
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import uvicorn

from node.actions import Operator
from node.admin.accounts import FirstUser, add_user
from node.admin.app import window_app
from node.admin.disk import DiskRecord
from node.admin.health import Health
from node.admin.metrics import Metrics
from node.admin.sessions import COOKIE, csrf_of, open_session
from node.admin.window import Answer, Taken, Window
from node.bench.filled import fill, is_empty
from node.core.checkup import CheckUp, Subject
from node.core.identity import Differing
from node.core.preview import Preview, View
from node.core.role import Role
from node.core.routing import Decision
from node.core.study import Stack
from node.editing import Editor
from node.errors import NotFound
from node.jobs.engine import prepare_engine
from node.settings import Configuration
from node.state.bells import Bells
from node.state.ledger import Ledger
from node.state.queue import Queue

MEDIAN_MS, MOST_MS = 100.0, 300.0
"""What every page should keep to: the median, and 95 of 100."""
LIVE_EVERY_S, LIVE_SHARE = 2.0, 0.02
"""How often an open overview asks, and the share of a core that it may cost."""


@dataclass(frozen=True)
class PageTime:
    """One page. times_ms: of each answer, on the server."""

    name: str
    times_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.times_ms)

    @property
    def most_ms(self) -> float:
        """95 of 100 took no longer."""
        return sorted(self.times_ms)[max(0, round(0.95 * len(self.times_ms)) - 1)]

    @property
    def ok(self) -> bool:
        return self.median_ms <= MEDIAN_MS and self.most_ms <= MOST_MS


@dataclass(frozen=True)
class Report:
    """Every page's time, and the share of a core that one who watches the overview costs."""

    studies: int
    events: int
    pages: tuple[PageTime, ...]
    live_share: float

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.pages) and self.live_share < LIVE_SHARE


class NobodyAnswers:
    """Peers that are not asked while pages are timed."""

    def echo(self, name: str) -> Answer:
        raise NotFound(f"{name} is not asked here")

    def probe(self, name: str) -> Taken:
        raise NotFound(f"{name} is not asked here")

    def registered(self, delivery: str) -> Differing:
        raise NotFound(f"nobody is asked of delivery {delivery} here")


class NothingLookedAt:
    """Checks are not run while pages are timed."""

    def start(self, subject: Subject, of: str = "") -> None:
        raise NotFound(f"{subject.value} {of} is not looked at here")

    def last(self, _subject: Subject, _of: str = "") -> CheckUp | None:
        return None


class NothingTried:
    """Routes are not tried while pages are timed."""

    def on_study(self, _configuration: Configuration, key: str) -> tuple[list[Decision], list[Stack]]:
        raise NotFound(f"{key} is not tried here")

    def on_files(
        self, _configuration: Configuration, paths: Sequence[Path], _calling: str
    ) -> tuple[list[Decision], list[Stack]]:
        raise NotFound(f"{len(paths)} files are not tried here")


class NoPictures:
    """There are no images in a ledger that was filled."""

    def open(self, job_id: str) -> Preview:
        raise NotFound(f"job {job_id} has no images")

    def picture(self, job_id: str, index: int, view: View | None, *, findings: bool) -> bytes:  # noqa: ARG002
        raise NotFound(f"job {job_id} has no images")


def measure(folder: Path, studies: int, rounds: int, say: Callable[[str], None], database_url: str = "") -> Report:
    """Fill a ledger in `folder` or in a database, or take the one that an earlier measurement left, and ask for every
    page. database_url: of PostgreSQL; the database holds nothing else."""
    url = database_url or f"sqlite:///{folder / 'ledger.sqlite'}"
    now = datetime.now(UTC)
    with closing(Ledger(url)) as ledger:
        ledger.migrate()
        prepare_engine(url)
        if is_empty(ledger):
            say(f"filling a ledger with {studies} studies")
            fill(ledger, studies, now)
        user = add_user(ledger, "bench", "a pass phrase for the bench", Role.ADMIN, now)
        secret = open_session(ledger, user, now)
        with (
            closing(Queue(ledger.engine, Bells(folder))) as queue,
            _served(_window(folder, ledger, queue)) as port,
            closing(_Browser(port, secret)) as asked,
        ):
            pages = []
            for name, method, path, fields in _pages(studies):
                say(name)
                asked.ms(method, path, fields)  # the first answer compiles the template
                times = tuple(asked.ms(method, path, fields) for _ in range(rounds))
                pages.append(PageTime(name, times))
            say("overview, live")
            share = _live_share(asked)
    return Report(studies, studies * 10, tuple(pages), share)


def _pages(studies: int) -> list[tuple[str, str, str, dict[str, str]]]:
    middle = studies // 2
    searches: dict[str, dict[str, str]] = {
        "patient": {"text": f"P{middle // 2:07d}"},
        "accession": {"text": f"A{middle:08d}"},
        "nobody": {"text": "ZZZ"},
        "a day": {"since": "2026-03-01", "until": "2026-03-01"},
        "common modality": {"modality": "CT"},
        "rare modality": {"modality": "PT"},
        "absent modality": {"modality": "XX"},
        "sender": {"sender": "CT7"},
        "route": {"route": "other"},
        "parked": {"outcome": "parked"},
        "delivered": {"outcome": "delivered"},
        "no route": {"outcome": "no-job"},
        "sender, route and outcome": {"sender": "CT7", "route": "other", "outcome": "refused"},
    }
    shown = ("outbox", "associations", "models", "peers", "routes", "users", "system", "api")
    return [
        *((path, "GET", path, {}) for path in ("/", "/studies", f"/studies/s{middle:08d}")),
        *((f"/{name}", "GET", f"/{name}", {}) for name in shown),
        *((f"search: {name}", "POST", "/studies", fields) for name, fields in searches.items()),
    ]


def _live_share(asked: "_Browser") -> float:
    """CPU of this process for one watcher, as a share of a core; the asking is in it, so it is rather too much."""
    begin, count = time.process_time(), 5
    for _ in range(count):
        waited = time.monotonic()
        asked.ms("GET", "/overview/live", {})
        time.sleep(max(0.0, LIVE_EVERY_S - (time.monotonic() - waited)))
    return (time.process_time() - begin) / (count * LIVE_EVERY_S)


class _Browser:
    def __init__(self, port: int, secret: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Cookie": f"{COOKIE}={secret}", "X-CSRF-Token": csrf_of(secret)}

    def close(self) -> None:
        self._connection.close()

    def ms(self, method: str, path: str, fields: dict[str, str]) -> float:
        """Milliseconds until the whole answer is here."""
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        begin = time.perf_counter()
        self._connection.request(method, path, urlencode(fields) if fields else None, headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status not in (200, 204):
            raise NotFound(f"{path} answered {answer.status}")
        return (time.perf_counter() - begin) * 1000


def _window(folder: Path, ledger: Ledger, queue: Queue) -> Window:
    def now() -> datetime:
        return datetime.now(UTC)

    configuration = Configuration()
    return Window(
        ledger=ledger,
        operator=Operator(ledger, queue),
        home=folder,
        config_folder=folder,
        configuration=lambda: configuration,
        look=lambda: Health(True, "", (), 500_000),
        metrics=Metrics(ledger, now).told,
        models=list,
        model_names=(),
        previews=NoPictures(),
        looking=NothingLookedAt(),
        disk=DiskRecord(lambda: 500_000, lambda: 1_000_000, 2048, now),
        editor=Editor(folder),
        asking=NobodyAnswers(),
        trying=NothingTried(),
        now=now,
    )


@contextmanager
def _served(window: Window) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = window_app(window, FirstUser(window.ledger))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(5)
