"""The operator's window on a real ledger, asked as a browser on this machine asks it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from httpx import Response

from node.actions import Operator
from node.admin.accounts import FirstUser, new_token
from node.admin.app import window_app
from node.admin.disk import DiskRecord
from node.admin.gpus import Gpus
from node.admin.health import Health
from node.admin.metrics import Metrics
from node.admin.sessions import COOKIE, csrf_of
from node.admin.window import Answer, Asking, Looking, ModelShown, Taken, Window
from node.core.identity import Differing
from node.core.model import ModelFacts
from node.core.role import Role
from node.editing import Editor
from node.errors import IsocenterError
from node.intake.trial import Tried, tried_on_files, tried_on_study
from node.jobs.preview import Previews
from node.service.checkups import CheckUps
from node.settings import Configuration
from node.state import accounts
from node.state.accounts import UserRow
from node.state.ledger import Ledger
from tests.makers.ledger import Books, books

PASSWORD = "a long pass phrase"  # noqa: S105  of users that tests make
MODEL = ModelShown(
    "lung-ct",
    "1.0",
    "Lungs",
    "Isocenter",
    "Research.",
    ("children",),
    "Apache-2.0",
    900,
    600,
    ("CT, axial",),
    "ab" * 32,
    "",
)
FACTS = {"lung-ct": ModelFacts("lung-ct", "1.0", "ab" * 32, (("ct", ("CT",)),))}
BASE = "http://127.0.0.1"


@cache
def _hashed() -> str:
    """The password as `add_user` keeps it: argon2 takes as long as most tests, and each sign-in does it again."""
    return PasswordHasher().hash(PASSWORD)


@dataclass(frozen=True)
class Opened:
    """A window with the ledger that it shows."""

    books: Books
    window: Window
    first_user: FirstUser

    def stranger(self, address: str = "127.0.0.1") -> TestClient:
        """A browser that is not signed in."""
        app = window_app(self.window, self.first_user)
        return TestClient(app, base_url=BASE, client=(address, 50000), follow_redirects=False)

    def user(self, role: Role = Role.ADMIN, *, sees_names: bool = False) -> "Browser":
        """A browser in which a user of that role is signed in."""
        name = f"{role.value}{'-names' if sees_names else ''}"
        with self.books.ledger.write() as connection:
            accounts.put_user(connection, UserRow(name, _hashed(), role, sees_names, self.window.now()))
        client = self.stranger()
        answer = client.post("/sign-in", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return Browser(client)

    def program(self, role: Role) -> TestClient:
        """A program that comes with a token."""
        token = new_token(self.books.ledger, f"program-{role.value}", role, "test", self.window.now())
        client = self.stranger()
        client.headers["Authorization"] = f"Bearer {token}"
        return client


@dataclass(frozen=True)
class Browser:
    """A signed-in browser: it sends what a form of a page would send."""

    client: TestClient

    def see(self, path: str) -> str:
        """A page's text; it must be there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.text

    def submit(self, path: str, **fields: str | list[str]) -> Response:
        """Submit a form."""
        secret = self.client.cookies[COOKIE]
        return self.client.post(path, data={**fields, "csrf": csrf_of(secret)})


@dataclass(frozen=True)
class Trials:
    """Routes tried with the one model that is there."""

    ledger: Ledger

    def on_study(self, configuration: Configuration, key: str) -> Tried:
        return tried_on_study(self.ledger, configuration, FACTS, key)

    def on_files(self, configuration: Configuration, paths: Sequence[Path], calling: str) -> Tried:
        return tried_on_files(paths, calling, configuration, FACTS)


class Silent:
    """Peers of which none answers."""

    def echo(self, name: str) -> Answer:
        return Answer(False, f"{name} does not answer.")

    def probe(self, name: str) -> Taken:
        raise IsocenterError(f"{name} does not answer.")

    def registered(self, delivery: str) -> Differing:
        raise IsocenterError(f"The destination of {delivery} does not answer.")


@contextmanager
def opened(
    folder: Path,
    configuration: Configuration | None = None,
    previews: Previews | None = None,
    asking: Asking | None = None,
    looking: Looking | None = None,
    gpus: Gpus | None = None,
) -> Iterator[Opened]:
    """A window on a new ledger in a folder."""
    with books(folder) as found:
        configured = configuration or Configuration()
        window = Window(
            ledger=found.ledger,
            operator=Operator(found.ledger, found.queue),
            home=folder,
            config_folder=folder / "config",
            configuration=lambda: configured,
            look=lambda: Health(True, "", (), 500_000),
            metrics=Metrics(found.ledger, found.clock).told,
            models=lambda: [MODEL],
            model_names=[MODEL.name],
            previews=previews or Previews(found.ledger, folder, {}, decode_memory_mb=1000),
            looking=looking or CheckUps(folder, folder / "config", found.clock, ("false",)),
            disk=DiskRecord(lambda: 500_000, lambda: 1_000_000, 2048, found.clock),
            editor=Editor(folder / "config"),
            asking=asking or Silent(),
            trying=Trials(found.ledger),
            now=found.clock,
            gpus=gpus or Gpus("no-such-program"),
        )
        yield Opened(found, window, FirstUser(found.ledger))
